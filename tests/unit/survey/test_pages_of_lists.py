"""Lists of more than one page, each of which may be another replica's."""

from typing import Any

import pytest

from hook.llamastack import PAGE_SIZE
from hook.registration import remedies
from hook.survey import survey
from tests.fake_llamastack import FakeLlamaStack
from tests.unit.conftest import Run, entries

LIST = "GET /v1/vector_stores"
CREATE = "POST /v1/vector_stores"
ONE = entries("red_hat_docs")
ALL = ("--connections", "20")


@pytest.mark.parametrize(("others", "made"), [(99, True), (100, False)])
def test_nothing_is_made_where_pages_are_of_different_lists(
    run: Run, monkeypatch: pytest.MonkeyPatch, others: int, made: bool
) -> None:
    """The second page is another replica's each time, so no list shows what only the first one has there."""
    monkeypatch.setattr(survey, "AT_ONCE", 1)
    with FakeLlamaStack(processes=2, per_request=True) as fake:
        for _ in range(others):
            fake.known_to[fake.add("another")] = {0}
        if not made:
            fake.known_to[fake.add("red_hat_docs", created_at=1)] = {0}
        outcome = run(fake.url, *ALL, collections=ONE)

        assert outcome.states == ["divided" if made else "missing"]
        assert (CREATE in fake.lines()) is made
    if not made:
        assert outcome.detail().endswith(remedies.NOT_CREATED)


def test_what_comes_and_goes_meanwhile_is_no_other_page(server: FakeLlamaStack, run: Run) -> None:
    """As the throw-away store of another run, where there are pages."""
    for _ in range(PAGE_SIZE):
        server.add("another")
    asked: list[int] = []

    def listed(handler: Any) -> None:
        asked.append(len(asked))
        if len(asked) == 8:
            server.add("somebody's")
        if len(asked) == 16:
            server.stores.pop()
        handler.reply(*handler._list(handler.taken.query))

    server.fault(LIST, listed)

    assert run(server.url, *ALL, collections=ONE).states == ["registered"]
