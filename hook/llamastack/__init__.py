"""LlamaStack's paths, words and history: how its releases list, create and delete, and what their answers prove.

No other package sends a request to one of its paths. It decides nothing about collections.
"""

from hook.llamastack.api import MAX_FAILURES, TRIAL_TEXT, LlamaStack
from hook.llamastack.dialects import number
from hook.llamastack.releases import (
    FIRST_DECLARED,
    FIRST_OGX,
    FIRST_SIZED,
    FIRST_STORES,
    Release,
    breaks_at_restart,
    keeps,
    keeps_from,
    named,
)
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
    "FIRST_DECLARED",
    "FIRST_OGX",
    "FIRST_SIZED",
    "FIRST_STORES",
    "INSERT",
    "MAX_FAILURES",
    "PROCESS_LOCAL_PROVIDERS",
    "QUERY",
    "TRIAL_TEXT",
    "LlamaStack",
    "Release",
    "breaks_at_restart",
    "is_own_failure",
    "is_unknown_id",
    "keeps",
    "keeps_from",
    "named",
    "number",
    "takes_no_inserts",
    "tells_nothing_when_empty",
]
