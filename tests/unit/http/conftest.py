"""A client, and how it fails."""

from collections.abc import Callable
from typing import Any

import pytest

from hook.deadline import Deadline
from hook.errors import HookError
from hook.http.client import Http
from hook.http.endpoint import Endpoint
from tests.fake_llamastack import Action, FakeLlamaStack

PATH = "/v1/health"


def http(url: str, request_timeout_seconds: float = 5, budget_seconds: float = 60, **server: Any) -> Http:
    """Return a client of that URL."""
    return Http(Endpoint(url, **server), request_timeout_seconds, Deadline(budget_seconds))


def failure(call: Callable[[], Any]) -> HookError:
    """Return the error of the hook's own that a call raises."""
    with pytest.raises(HookError) as caught:
        call()
    return caught.value


def get_failure(server: FakeLlamaStack, action: Action) -> HookError:
    """Return what a GET raises that meets this fault."""
    server.fault(f"GET {PATH}", action)
    return failure(lambda: http(server.url, 0.3).get(PATH))
