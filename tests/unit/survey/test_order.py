"""What several lists show, in one order for all runs."""

import pytest

from hook.domain import VectorStore
from hook.survey.answers import Answers
from hook.survey.order import in_order
from hook.timings import DEFAULT_TIMINGS


@pytest.mark.parametrize(
    ("lists", "order"),
    [
        ([["a", "b"], ["b"]], "ab"),
        ([["b", "a"]], "ba"),
        ([["b"], ["b", "a"]], "ba"),
        ([["a"], ["b", "a"]], "ba"),
        ([["b"], ["a"]], "ab"),
        ([["a"], ["b"]], "ab"),
        ([["c", "b"], ["b", "a"]], "cba"),
        ([["b", "a"], ["d", "b"], ["d", "c"]], "dbca"),
        ([["b", "a"], ["a", "b"]], "ab"),
        ([["c", "b", "a"], ["c", "a", "b"]], "cab"),
        ([["c", "b"], ["b", "a"], ["a", "c"]], "abc"),
    ],
)
def test_all_runs_have_the_same_order_of_one_second(lists: list[list[str]], order: str) -> None:
    """That of the lists that show two of them; where each lists its own, no run may go by which it has heard first.

    A third one that is taken back between two lists of a run, or made there, must not turn the others around: each of
    the runs would take its own back for another's, and none be left.
    """
    heard = dict.fromkeys(store_id for ids in lists for store_id in ids)
    stores = [VectorStore(store_id, "docs", created_at=1) for store_id in heard]
    places = [{store_id: place for place, store_id in enumerate(ids)} for ids in lists]

    assert "".join(store.id for store in in_order(stores, places)) == order

    sweep = Answers(len(lists), 0, DEFAULT_TIMINGS)
    for ids in lists:
        sweep.add_list([VectorStore(store_id, "docs", created_at=1) for store_id in ids], sweep.now())
    assert [store.id for store in sweep.together().stores] == [*order]


def test_the_order_of_other_names_and_seconds_is_as_it_was() -> None:
    stores = [VectorStore("d", "docs", created_at=2), VectorStore("c", "docs"), VectorStore("b", "acme")]

    assert in_order(stores, [{"c": 0}, {"d": 0}]) == tuple(stores)
