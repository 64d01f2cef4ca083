"""One bounded request at a time, to LlamaStack and to the Kubernetes API. An answer is a value or one of two errors.

It never repeats a request by itself. One exception: a token that was replaced under way.
"""

from hook.http import tls
from hook.http.answers import mapping
from hook.http.client import Http
from hook.http.endpoint import Endpoint, OAuthClient
from hook.http.headers import read_headers
from hook.http.hints import of_kubernetes, of_oauth
from hook.http.url import Address, check_expanded, read_address

__all__ = [
    "Address",
    "Endpoint",
    "Http",
    "OAuthClient",
    "check_expanded",
    "mapping",
    "of_kubernetes",
    "of_oauth",
    "read_address",
    "read_headers",
    "tls",
]
