"""What the answers of all connections say together, and what is asked next."""

from dataclasses import replace
from typing import Any

import pytest

from hook.domain import Model, Proof, Provider, Target, VectorStore, Verdict
from hook.survey.answers import FEWEST_PROOFS, Answers
from hook.survey.proof import united
from hook.survey.survey import QUERIES
from hook.survey.timed import Timed
from hook.timings import DEFAULT_TIMINGS

TARGET = Target("docs", Provider("milvus"), Model("granite", None, 768), 768)


def in_turn(*said: Any) -> list[Timed[Any]]:
    """Return answers that were given one after the other."""
    return [Timed(each, float(number), number + 0.5) for number, each in enumerate(said)]


def sweep_of(connections: int, *lists: list[str]) -> Answers:
    """Return what was heard after these lists, one after the other."""
    sweep = Answers(connections, QUERIES, DEFAULT_TIMINGS)
    for ids in lists:
        sweep.open({})
        sweep.add_list([VectorStore(store_id, "docs") for store_id in ids], sweep.now())
    return sweep


def prove(sweep: Answers, wanted: dict[str, Target], proof: Proof) -> list[str]:
    """Open a connection, answer with this proof what is due on it, and return that."""
    due = sweep.open(wanted)[1]
    for store_id in due:
        sweep.question(store_id, TARGET)
        sweep.add_proof(store_id, TARGET, proof, sweep.now())
    return due


@pytest.mark.parametrize(
    ("lives", "together"),
    [
        (["alive", "alive"], "alive"),
        (["alive", "lost"], "divided"),
        (["lost", "lost"], "lost"),
        (["undecided", "lost"], "divided"),
        (["undecided", "alive"], "undecided"),
        (["alive", "dead", "lost"], "dead"),
        (["refused", "alive"], "refused"),
    ],
)
def test_the_worst_answer_counts(lives: list[str], together: str) -> None:
    """Some inserts meet that process."""
    assert united(in_turn(*(Proof(Verdict(life)) for life in lives))).verdict == together


def test_what_some_have_lost_is_told_with_how_many_know_it() -> None:
    """In the words of one that does not."""
    proof = united(in_turn(Proof(Verdict.ALIVE), Proof(Verdict.LOST, "404"), Proof(Verdict.ALIVE)))

    assert proof.detail == "2 of 3 connections know it; on the others: 404"


def test_what_all_have_lost_is_told_in_the_last_ones_words() -> None:
    proof = united(in_turn(Proof(Verdict.LOST, "first"), Proof(Verdict.LOST, "last")))

    assert (proof.verdict, proof.detail) == (Verdict.LOST, "last")


@pytest.mark.parametrize("proofs", [["alive", "undecided"], ["undecided", "alive"]])
def test_what_one_cannot_tell_is_undecided(proofs: list[str]) -> None:
    assert united(in_turn(*(Proof(Verdict(each)) for each in proofs))).verdict is Verdict.UNDECIDED


def test_answers_that_take_turns_are_divided_as_the_first_says() -> None:
    proof = united(in_turn(*(Proof(Verdict.ALIVE, found=found) for found in ("one", "another", "one"))))

    assert (proof.verdict, proof.found) == (Verdict.DIVIDED, "one")


def test_a_dimension_that_any_tells_counts() -> None:
    proof = united(in_turn(Proof(Verdict.ALIVE), Proof(Verdict.ALIVE, embedding_dimension=384), Proof(Verdict.ALIVE)))

    assert proof.embedding_dimension == 384


@pytest.mark.parametrize(
    ("each", "together"),
    [((True, True), True), ((True, False), False), ((True, None), None), ((None, False), False)],
)
def test_it_is_empty_where_all_say_so(each: tuple[bool | None, ...], together: bool | None) -> None:
    """One that found a chunk is enough to know better, and one that cannot tell is enough not to know."""
    assert united(in_turn(*(Proof(Verdict.ALIVE, empty=empty, queried=True) for empty in each))).empty is together


@pytest.mark.parametrize(
    "proof", [Proof(Verdict.DEAD), Proof(Verdict.REFUSED), Proof(Verdict.UNDECIDED, costly=True, timed_out=True)]
)
def test_one_failure_is_enough(proof: Proof) -> None:
    """It is not asked again on the other connections."""
    sweep = sweep_of(20, ["vs_1"])
    wanted = {"vs_1": TARGET}
    assert prove(sweep, wanted, proof) == ["vs_1"]

    assert sweep.open(wanted)[1] == []


@pytest.mark.parametrize(
    ("count", "costly", "most"), [(20, False, 20), (30, False, 13), (200, False, 3), (3, True, 6), (20, True, 3)]
)
def test_each_is_proven_so_often_and_no_more(count: int, costly: bool, most: int) -> None:
    """400 proofs together, or 20 that an error answers, and at least 3 of each."""
    ids = [f"vs_{number}" for number in range(count)]
    sweep = sweep_of(20, *[ids] * 20)
    wanted = dict.fromkeys(ids, TARGET)

    for _ in range(most):
        assert len(prove(sweep, wanted, Proof(Verdict.ALIVE, costly=costly))) == count

    assert sweep.open(wanted)[1] == []
    assert sweep.is_over()


def test_what_vanished_though_each_list_shows_it_is_asked_no_more() -> None:
    """No more than on each connection once: each answer is an error, which costs the server a log."""
    sweep = sweep_of(20, ["vs_1"])
    wanted = {"vs_1": TARGET}
    prove(sweep, wanted, Proof(Verdict.ALIVE))
    lost = Proof(Verdict.LOST, "404", costly=True)
    sweep.add_proof("vs_1", TARGET, lost, sweep.now())

    while not sweep.is_over():
        prove(sweep, wanted, lost)
        for store_id in sweep.due_by_list(wanted, ["vs_1"], []):
            sweep.add_proof(store_id, TARGET, lost, sweep.now())

    assert len(sweep._proofs["vs_1"]) <= 20 + 1


def test_of_many_what_lists_differ_on_is_proven_as_often_as_alone() -> None:
    """It may be what one replica of many does not know, and the others are known to all of them."""
    ids = [f"vs_{number}" for number in range(200)]
    wanted = dict.fromkeys(ids, TARGET)
    sweep = sweep_of(20, ids, ids[1:])

    while not sweep.is_over():
        prove(sweep, wanted, Proof(Verdict.ALIVE))

    assert [len(sweep._proofs[store_id]) for store_id in ids] == [20] + [FEWEST_PROOFS] * 199


def test_of_many_each_is_asked_where_no_list_shows_it() -> None:
    """Its few other proofs may all meet processes that know it; three such, or one that decides."""
    ids = [f"vs_{number}" for number in range(200)]
    wanted = dict.fromkeys(ids, TARGET)
    sweep = sweep_of(20, ids)
    prove(sweep, wanted, Proof(Verdict.ALIVE))

    assert [sweep.due_by_list(wanted, ids[1:], []) for _ in range(4)] == [[ids[0]]] * 3 + [[]]

    sweep = sweep_of(20, ids)
    prove(sweep, wanted, Proof(Verdict.DEAD))
    assert sweep.due_by_list(wanted, ids[1:], []) == []


def test_what_a_connection_has_proven_is_not_due_by_its_list() -> None:
    """It has told already that it does not know it."""
    sweep = sweep_of(20, ["vs_1"])
    wanted = {"vs_1": TARGET}
    prove(sweep, wanted, Proof(Verdict.ALIVE))

    assert sweep.due_by_list(wanted, [], ["vs_1"]) == []


@pytest.mark.parametrize(("lists", "most"), [([["vs_1"], ["vs_1"]], 3), ([["vs_1"], []], 20)])
def test_what_nobody_can_tell_is_asked_often_if_lists_differ(lists: list[list[str]], most: int) -> None:
    """Each answer is an error, which costs the server a log."""
    sweep = sweep_of(20, *lists * 10)
    wanted = {"vs_1": TARGET}

    for _ in range(most):
        assert prove(sweep, wanted, Proof(Verdict.UNDECIDED, costly=True)) == ["vs_1"]

    assert sweep.open(wanted)[1] == []


@pytest.mark.parametrize(("count", "most"), [(20, 3), (21, 2)])
def test_many_of_which_nobody_can_tell_are_asked_less_often(count: int, most: int) -> None:
    """Among all of their connections are some to each worker."""
    ids = [f"vs_{number}" for number in range(count)]
    sweep = sweep_of(20, *[ids] * 20)
    wanted = dict.fromkeys(ids, TARGET)

    for _ in range(most):
        assert prove(sweep, wanted, Proof(Verdict.UNDECIDED, costly=True)) == ids

    assert sweep.open(wanted)[1] == []


def test_what_is_lost_is_left_when_its_time_is_over() -> None:
    """Connections that overlap begin more proofs than are needed then, and each is an error in the server's log."""
    ids = [f"vs_{number}" for number in range(8)]
    sweep = Answers(20, QUERIES, replace(DEFAULT_TIMINGS, lost_seconds=0.0))
    sweep.add_list([VectorStore(store_id, "docs") for store_id in ids], sweep.now())
    for store_id in ids:
        sweep.question(store_id, TARGET)
        sweep.add_proof(store_id, TARGET, Proof(Verdict.LOST, "404", costly=True), sweep.now())
    assert not sweep.is_asked_enough("vs_0")

    for _ in range(FEWEST_PROOFS - 1):
        sweep.question("vs_0", TARGET)

    assert [store_id for store_id in ids if sweep.is_asked_enough(store_id)] == ["vs_0"]


def test_one_of_which_nobody_can_tell_is_not_many() -> None:
    """However many others there are: those tell nothing of its workers."""
    ids = [f"vs_{number}" for number in range(30)]
    sweep = sweep_of(20, *[ids] * 20)
    prove(sweep, dict.fromkeys(ids[1:], TARGET), Proof(Verdict.DEAD))

    for _ in range(FEWEST_PROOFS):
        assert prove(sweep, dict.fromkeys(ids, TARGET), Proof(Verdict.UNDECIDED, costly=True)) == ids[:1]

    assert sweep.open(dict.fromkeys(ids, TARGET))[1] == []


def test_three_changes_of_lists_are_enough_and_are_counted() -> None:
    """One change is a create or a delete; there and away and back again is not."""
    sweep = sweep_of(4, ["vs_1"], ["vs_1"], [], ["vs_1"])
    sweep.add_proof("vs_1", TARGET, Proof(Verdict.LOST, "404"), sweep.now())

    proof = sweep.together().proofs["vs_1"]

    assert (proof.verdict, proof.detail) == (Verdict.DIVIDED, "3 of 4 connections list it; on the others: 404")


def test_what_seems_to_have_vanished_is_proven_where_a_list_shows_it() -> None:
    """On twice as many connections, and nowhere else: where one knows it still, it is divided."""
    sweep = sweep_of(4, ["vs_1"], ["vs_1"], ["vs_1"])
    wanted = {"vs_1": TARGET}
    prove(sweep, wanted, Proof(Verdict.ALIVE))
    assert not sweep.wants_lists()
    sweep.add_proof("vs_1", TARGET, Proof(Verdict.LOST, "404", costly=True), sweep.now())

    assert sweep.wants_lists()
    assert not sweep.is_over()
    assert sweep.open(wanted) == (True, [])
    assert sweep.due_by_list(wanted, ["vs_1"], []) == ["vs_1"]

    sweep.add_proof("vs_1", TARGET, Proof(Verdict.ALIVE), sweep.now())
    assert sweep.is_over()
    assert sweep.together().proofs["vs_1"].verdict is Verdict.DIVIDED
    assert not sweep.together().has_changed


def test_what_vanished_is_looked_for_so_often_and_no_more() -> None:
    """Then all is asked anew."""
    sweep = sweep_of(4, ["vs_1"], ["vs_1"], ["vs_1"])
    wanted = {"vs_1": TARGET}
    prove(sweep, wanted, Proof(Verdict.ALIVE))
    sweep.add_proof("vs_1", TARGET, Proof(Verdict.LOST, "404", costly=True), sweep.now())

    assert [sweep.open(wanted) for _ in range(5)] == [(True, [])] * 4 + [(False, [])]
    assert sweep.is_over()
    assert sweep.together().has_changed


def test_each_is_proven_at_once_and_again_all_over() -> None:
    """Of many: first on the one that shows it, and the rest spread, with nothing left after the last."""
    ids = [f"vs_{number}" for number in range(200)]
    wanted = dict.fromkeys(ids, TARGET)
    sweep = sweep_of(20, ids)

    assert sorted(prove(sweep, wanted, Proof(Verdict.ALIVE))) == sorted(ids)
    assert 0 < len(prove(sweep, wanted, Proof(Verdict.ALIVE))) < len(ids) / 2
    while sweep.open({})[0]:
        pass
    assert prove(sweep, wanted, Proof(Verdict.ALIVE)) != []
    while not sweep.is_over():
        prove(sweep, wanted, Proof(Verdict.ALIVE))
    assert {len(proofs) for proofs in sweep._proofs.values()} == {FEWEST_PROOFS}
