"""LlamaStack's paths, words and history: how its releases list, create and delete, and what their answers prove.

No other package sends a request to one of its paths. It decides nothing about collections.
"""

from hook.llamastack import releases
from hook.llamastack.api import MAX_FAILURES, TRIAL_TEXT, LlamaStack
from hook.llamastack.dialects import PAGE_SIZE, number
from hook.llamastack.releases import Release
from hook.llamastack.verdicts import (
    INSERT,
    PROCESS_LOCAL_PROVIDERS,
    QUERY,
    is_own_failure,
    is_unknown_id,
    takes_no_inserts,
    tells_nothing_when_empty,
)

__all__ = [
    "INSERT",
    "MAX_FAILURES",
    "PAGE_SIZE",
    "PROCESS_LOCAL_PROVIDERS",
    "QUERY",
    "TRIAL_TEXT",
    "LlamaStack",
    "Release",
    "is_own_failure",
    "is_unknown_id",
    "number",
    "releases",
    "takes_no_inserts",
    "tells_nothing_when_empty",
]
