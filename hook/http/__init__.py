"""One bounded request at a time, to LlamaStack and to the Kubernetes API. An answer is a value or one of two errors.

It never repeats a request by itself. One exception: a token that was replaced under way.
"""

from hook.http.client import Http
from hook.http.endpoint import Endpoint

__all__ = ["Endpoint", "Http"]
