"""Two names, one table: then a query of one collection finds the chunks of the other, so neither is registered."""

from typing import Any

import pytest

from hook.domain import Model, Provider, Target, VectorStore
from hook.llamastack.releases import Release
from hook.registration.resolve import sharing_tables
from tests.fake_llamastack import FakeLlamaStack
from tests.unit.conftest import Run, entries

RULE = "a query of one finds the chunks of the other; rename one of them"


def targets(*names: str, kind: str = "pgvector") -> list[Target]:
    return [Target(name, Provider("db", kind), Model("m", None, 8), 8) for name in names]


def listed(*ids: str, provider_id: str = "db") -> list[VectorStore]:
    return [VectorStore(store_id, store_id, provider_id=provider_id) for store_id in ids]


def shared(*names: str, ids: tuple[str, ...] = (), release: Release | None = None, **how: Any) -> list[str]:
    """Return the names that are rejected, where up to 0.2.24 a name is an id."""
    stores = listed(*ids, provider_id=how.pop("provider_id", "db"))
    is_old = how.pop("is_old", False)
    return sorted(sharing_tables(targets(*names, **how), stores, release, names_are_ids=is_old))


@pytest.mark.parametrize("kind", ["pgvector", "milvus", "sqlite-vec"])
def test_up_to_0_2_24_case_and_the_end_do_not_count(kind: str) -> None:
    long = "x" * 60
    assert shared("a-b", "A_b", f"{long}1", f"{long}2", "c", kind=kind, is_old=True) == sorted(
        ["a-b", "A_b", f"{long}1", f"{long}2"]
    )


def test_up_to_0_2_24_another_one_s_counts() -> None:
    assert shared("a-b", ids=("a_b",), is_old=True) == ["a-b"]
    assert shared("a-b", ids=("a-b",), is_old=True) == []


def test_on_another_provider_it_is_another_table() -> None:
    assert shared("a-b", ids=("a_b",), provider_id="other", is_old=True) == []


@pytest.mark.parametrize(("ids", "expected"), [((), []), (("a-b",), []), (("a-b", "a_b"), ["a-b", "a_b"])])
def test_newer_releases_share_only_what_is_declared(ids: tuple[str, ...], expected: list[str]) -> None:
    """Else the server makes up the ids. What it declares is listed under its name."""
    assert shared("a-b", "a_b", ids=ids) == expected


@pytest.mark.parametrize(
    ("release", "expected"), [(None, []), ((0, 7, 3), ["A", "a"]), ((1, 5, 0), [])], ids=["unknown", "0.7.3", "1.5.0"]
)
def test_pgvector_quotes_its_tables_in_ogx(release: Release | None, expected: list[str]) -> None:
    assert shared("A", "a", ids=("A", "a"), release=release) == expected


def test_nothing_is_created_for_two_names_of_one_table(run: Run) -> None:
    """Which is seen before anything is written."""
    with FakeLlamaStack("dbs") as server:
        outcome = run(server.url, collections=entries("a-b", "a_b", "c"))

    assert (outcome.exit_code, outcome.states) == (4, ["rejected", "rejected", "registered"])
    assert outcome.detail("a-b") == f"it has the same table as 'a_b' on pgvector: {RULE}"
    assert server.names() == ["c"]


def test_newer_servers_make_a_table_for_each(server: FakeLlamaStack, run: Run) -> None:
    assert run(server.url, collections=entries("a-b", "a_b")).states == ["registered"] * 2
