"""What the journal of a run means, without a server: creates to send again, and a run that ends in the middle."""

import pytest

from hook.domain import Finding, Model, Observation, Proof, Provider, State, Target, VectorStore, Verdict
from hook.errors import RefusedError, UnavailableError
from hook.registration.decide import MOST_REPEATS, Action, Repeat, decide
from hook.registration.journal import Created, Event, Journal, Refused, Repeated, Sent, Unclear
from hook.registration.judge import unfinished
from hook.registration.trial import _says_not_made

NAMES = ("a", "b", "c", "d")


def repeats(
    state: State, *events: Event, store_id: str | None = "a", found: str | None = None, names: tuple[str, ...] = ("a",)
) -> list[str]:
    """Return the collections whose creates are sent again, where the observation says this of each of them."""
    targets = [Target(name, Provider("faiss"), Model("m", None, 768), 768) for name in names]
    findings = {name: Finding(name, state, store_id and name) for name in names}
    verdict = Verdict.DIVIDED if state is State.DIVIDED else Verdict.DEAD
    stores = tuple(VectorStore(name, name) for name in names if store_id)
    seen = Observation(20, stores, proofs={store.id: Proof(verdict, found=found) for store in stores})
    journal = Journal("this run", [*events], frozenset(store.id for store in stores))
    may = {"may_recreate": False, "may_insert": False, "replaces": True}
    actions: list[Action] = decide(targets, seen, findings, journal, release=(0, 2, 24), **may)
    assert all(isinstance(each, Repeat) for each in actions)
    return [each.target.name for each in actions]


def test_a_create_is_sent_again_for_the_other_workers_so_often() -> None:
    """Up to 0.2.24, where a second one changes nothing."""
    assert repeats(State.DIVIDED) == ["a"]
    assert repeats(State.DIVIDED, *[Repeated("a")] * (MOST_REPEATS - 1)) == ["a"]
    assert repeats(State.DIVIDED, *[Repeated("a")] * MOST_REPEATS) == []


def test_it_is_sent_again_once_where_the_backend_is_silent() -> None:
    """All that sqlite-vec needs after a restart."""
    assert repeats(State.UNAVAILABLE) == ["a"]
    assert repeats(State.UNAVAILABLE, Repeated("a")) == []


def test_none_is_sent_again_where_workers_hold_other_chunks() -> None:
    """Each would read what was written last, and forget its own."""
    assert repeats(State.DIVIDED, found="a chunk of one worker") == []


@pytest.mark.parametrize("state", [State.PRESENT, State.DRIFTED, State.LOST])
def test_none_is_sent_again_where_all_workers_answer(state: State) -> None:
    assert repeats(state) == []


def test_none_is_sent_again_where_nothing_is_listed() -> None:
    assert repeats(State.UNAVAILABLE, store_id=None) == []


@pytest.mark.parametrize("failure", [Refused("a", "no"), Unclear("a", "503", 10.0, None)])
def test_none_is_sent_again_after_one_that_failed(failure: Event) -> None:
    """The others' are, all the same."""
    assert repeats(State.UNAVAILABLE, Sent("a"), failure, names=("a", "b")) == ["b"]


def test_a_run_that_ends_early_says_of_each_create_what_it_knows() -> None:
    store = VectorStore("vs_1", "c")
    events: list[Event] = [Sent(name) for name in NAMES]
    events += [Refused("a", "the server says no"), Unclear("b", "timeout", 10.0, None), Created("c", store)]
    before = {name: Finding(name, State.MISSING) for name in (*NAMES, "not sent")}

    found = unfinished(before, Journal("this run", events))

    end = "; the run ended before it could be verified"
    assert found == {
        "a": Finding("a", State.REJECTED, detail="the server says no"),
        "b": Finding("b", State.UNKNOWN, detail=f"its create got no clear answer (timeout){end}"),
        "c": Finding("c", State.UNKNOWN, detail=f"created as vs_1{end}"),
        "d": Finding("d", State.UNKNOWN, detail=f"its create was sent{end}"),
        "not sent": before["not sent"],
    }


@pytest.mark.parametrize(
    ("error", "is_said"),
    [
        (RefusedError("", status=400), True),
        (RefusedError("", status=300), True),
        (UnavailableError("", status=500), True),
        (UnavailableError("", status=504, in_flight=True), False),
        (RefusedError("a 200 that is no answer", status=200), False),
        (UnavailableError("nothing came"), False),
    ],
)
def test_only_the_server_says_that_a_trial_was_not_made(error: RefusedError | UnavailableError, is_said: bool) -> None:
    """Else the list is searched for its store, for as long as lists may lag."""
    assert _says_not_made(error) is is_said
