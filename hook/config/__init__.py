"""What is declared: from a file, such as a run.yaml or a ConfigMap's manifest, to collections.

It knows the sections and rules of LlamaStack's own files, and reports every problem at once. It never asks a server.
"""

from hook.config.file import Config, Rules, load

__all__ = ["Config", "Rules", "load"]
