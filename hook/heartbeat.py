"""No silence: what a run is doing is said every 10 s, and on a terminal on one line that is rewritten."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from hook import logs
from hook.deadline import Deadline

_LABELS = {
    "survey.progress": "verifying",
    "health.waiting": "waiting for the server",
    "rollout.waiting": "waiting for the rollout",
}

Measure = Callable[[], Mapping[str, float]]
_activities: list[tuple[str, Measure]] = [("run.progress", dict)]
"""What is being done, the innermost last."""


@contextmanager
def doing(event: str, measure: Measure = dict) -> Iterator[None]:
    """While the block runs, let the heartbeat say this `event`, with what `measure` returns at that moment."""
    activity = (event, measure)
    _activities.append(activity)
    try:
        yield
    finally:
        _activities.remove(activity)


@contextmanager
def beating(deadline: Deadline) -> Iterator[None]:
    """While the block runs, say what is being done. A run for which no thread can start goes on without a word."""
    ended, timings = threading.Event(), deadline.timings

    def beat() -> None:
        while not ended.wait(timings.line_seconds if logs.rewrites_lines() else timings.beat_seconds):
            event, measure = _activities[-1]
            fields = {**measure(), "remaining_seconds": round(deadline.remaining())}
            logs.progress(event, fields, _text(event, fields))

    with suppress(RuntimeError):
        threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _text(event: str, fields: Mapping[str, float]) -> str:
    share = f" {fields['done']} of {fields['of']}" if fields.get("of") else ""
    return f"{_LABELS.get(event, 'working')}{share}, {fields['remaining_seconds']} s left"
