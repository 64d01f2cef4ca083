"""Register LlamaStack vector stores from the configuration that declares them, and prove that they are there.

The flow is load, wait, register, verify: `config` reads the collections, `backoff` waits for the server, `domain`
decides, `llamastack` asks and tells the server, `report` says what came of it, and `app` connects them.
"""

__version__ = "0.1.0"
