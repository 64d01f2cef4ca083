"""Sending requests, and reading what comes back; LlamaStack and the Kubernetes API are asked in the same way."""
