"""Only one module deletes, and only by its rule: nothing that this very run did not make, but for leftovers."""

import ast
import copy
import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hook
from hook import logs
from hook.cli.settings import parse
from hook.cli.usage import parse_arguments
from hook.deadline import Deadline
from hook.domain import Collection, VectorStore, Verdict
from hook.errors import HookError
from hook.http.answers import Answer, read
from hook.http.client import Http
from hook.http.endpoint import Endpoint
from hook.llamastack.api import TRIAL_TEXT, LlamaStack
from hook.progress import Progress
from hook.registration.deletion import (
    DECIDED_SECONDS,
    LEFTOVER_SECONDS,
    TOGETHER_SECONDS,
    Claim,
    Duplicate,
    Leftover,
    Orphan,
    Spare,
    Surplus,
    Trial,
    may_delete,
)
from hook.registration.run import Run
from tests.fake_llamastack import CANARY, GRANITE, FakeLlamaStack
from tests.faults.interleavings import Instant, time_of
from tests.unit.test_properties import quickly

DELETE = "delete_vector_store"
TRIAL = f"{CANARY}{uuid.UUID(int=7)}"
OWN = "0123456789abcdef"


def test_one_place_deletes() -> None:
    """`deletion` calls the API, the API sends it, and nothing else knows the method."""
    users: dict[str, set[str]] = {}
    for path in Path(hook.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute | ast.Constant):
                users.setdefault(ast.unparse(node), set()).add(path.name)

    called = {path for text, paths in users.items() if text.endswith(f".{DELETE}") for path in paths}
    assert called == {"deletion.py"}
    assert {text: paths for text, paths in users.items() if text.endswith(".delete")} == {
        "self._http.delete": {"api.py"}
    }
    assert users["'DELETE'"] == {"client.py"}


# The rule itself


def store(**fields: Any) -> VectorStore:
    """Return this run's throw-away vector store, with some fields replaced."""
    own = {"id": "vs_1", "name": TRIAL, "declared_as": TRIAL, "made_by": OWN, "age_seconds": 1.0, "created_at": 9_000}
    return VectorStore(**{**own, **fields})


trial = Trial(TRIAL, OWN, frozenset({"vs_2"}), keeps_metadata=True)
duplicate = Duplicate("docs", OWN, frozenset({"vs_2"}), empty=True)
leftover = Leftover(frozenset({"docs", "HR"}), (TRIAL_TEXT,), 1.0)
withdrawn = Surplus(VectorStore("vs_2", "docs", created_at=9_000, made_by="another"), Verdict.ALIVE, empty=True)
docs = partial(store, name="docs", declared_as="docs")
NOW = 9_000.0 + LEFTOVER_SECONDS + 1
orphan = Orphan(frozenset({"laws", "HR"}), NOW, empty=True, with_data=False)
spare = Spare("docs", VectorStore("vs_2", "docs"), Verdict.ALIVE, NOW, empty=True)
unneeded = partial(docs, made_by="an earlier one", age_seconds=LEFTOVER_SECONDS + 1)
old = partial(store, made_by="an earlier one", age_seconds=LEFTOVER_SECONDS + 1)
late = partial(docs, made_by="a killed one", age_seconds=DECIDED_SECONDS + 1)


@pytest.mark.parametrize(
    ("shown", "claim"),
    [
        (store(), trial),
        (store(id=TRIAL, made_by=None), Trial(TRIAL, OWN, frozenset(), keeps_metadata=False)),
        (docs(), duplicate),
        (docs(name="DOCS"), duplicate),
        (docs(), Duplicate("docs", OWN, frozenset(), empty=None)),
        (old(), leftover),
        (old(declared_as=None), leftover),
        (old(), Leftover(frozenset(), (), -1.0)),
        (late(), withdrawn),
        (late(name="DOCS", created_at=9_000 + TOGETHER_SECONDS), withdrawn),
        (unneeded(), orphan),
        (unneeded(name=None), orphan),
        (unneeded(files=2), Orphan(frozenset(), NOW, empty=False, with_data=True)),
        (unneeded(), Orphan(frozenset(), NOW, empty=None, with_data=True)),
        (unneeded(), spare),
        (unneeded(name="an alias"), spare),
    ],
)
def test_what_may_be_deleted(shown: VectorStore, claim: Claim) -> None:
    assert may_delete(shown, claim)


@pytest.mark.parametrize(
    ("shown", "claim"),
    [
        *[
            (store(**fields), trial)
            for fields in (
                {"id": "vs_2"},
                {"id": "VS_2"},
                {"name": f"{CANARY}x"},
                {"name": None},
                {"made_by": None},
                {"made_by": "another"},
                {"files": 1},
            )
        ],
        (store(made_by=None), Trial(TRIAL, OWN, frozenset(), keeps_metadata=False)),
        (store(id=TRIAL, made_by=None), Trial(TRIAL, OWN, frozenset({TRIAL}), keeps_metadata=False)),
        *[
            (docs(**fields), duplicate)
            for fields in (
                {"id": "Vs_2"},
                {"name": "laws", "declared_as": "laws"},
                {"made_by": None},
                {"made_by": "another"},
                {"files": 1},
            )
        ],
        (docs(), Duplicate("docs", OWN, frozenset(), empty=False)),
        *[
            (old(**fields), leftover)
            for fields in (
                {"made_by": None},
                {"age_seconds": LEFTOVER_SECONDS},
                {"age_seconds": None},
                {"name": f"{TRIAL}0"},
                {"name": TRIAL.upper()},
                {"name": None, "declared_as": None},
                {"declared_as": "docs"},
                {"declared_as": "another"},
                {"id": "DOCS"},
                {"files": 1},
            )
        ],
        *[
            (old(), Leftover(frozenset(), contents, 1.0))
            for contents in (None, ("a text",), (TRIAL_TEXT, TRIAL_TEXT), (TRIAL_TEXT, "a text"))
        ],
        (old(), Leftover(frozenset({TRIAL.upper()}), (TRIAL_TEXT,), 1.0)),
        *[(old(), Leftover(frozenset(), (TRIAL_TEXT,), seconds)) for seconds in (None, 7_200.0, -7_200.0)],
        *[
            (late(**fields), withdrawn)
            for fields in (
                {"made_by": None},
                {"created_at": 8_999},
                {"created_at": 9_000 + TOGETHER_SECONDS + 1},
                {"age_seconds": DECIDED_SECONDS},
                {"age_seconds": None},
                {"name": "laws", "declared_as": "laws"},
                {"id": "vs_2"},
                {"files": 1},
            )
        ],
        *[(late(), Surplus(withdrawn.older, life, empty=True)) for life in Verdict if life is not Verdict.ALIVE],
        *[(late(), Surplus(withdrawn.older, Verdict.ALIVE, empty)) for empty in (False, None)],
        (late(), Surplus(VectorStore("vs_2", "docs", created_at=9_000), Verdict.ALIVE, empty=True)),
        *[
            (unneeded(**fields), claim)
            for claim in (orphan, replace(orphan, with_data=True), spare)
            for fields in (
                {"made_by": None},
                {"declared_as": None},
                {"age_seconds": LEFTOVER_SECONDS},
                {"age_seconds": None},
                {"created_at": 9_001},
            )
        ],
        *[
            (unneeded(**fields), replace(orphan, with_data=True))
            for fields in ({"id": "Laws"}, {"name": "hr"}, {"declared_as": "LAWS"})
        ],
        *[(unneeded(), replace(claim, empty=empty)) for claim in (orphan, spare) for empty in (False, None)],
        *[(unneeded(files=files), claim) for claim in (orphan, spare) for files in (1, -1)],
        *[(unneeded(id=store_id), spare) for store_id in ("vs_2", "VS_2", "DOCS")],
        (unneeded(declared_as="DOCS"), spare),
        *[(unneeded(), replace(spare, verdict=life)) for life in Verdict if life is not Verdict.ALIVE],
    ],
)
def test_what_may_not_be_deleted(shown: VectorStore, claim: Claim) -> None:
    """Each has one thing that is not as it should be."""
    assert not may_delete(shown, claim)


names = st.sampled_from([TRIAL, "docs", "laws", None, CANARY, f"{CANARY}{uuid.UUID(int=8)}"])
runs = st.sampled_from([None, OWN, "another", ""])
counts = st.sampled_from([None, True, False])
ages = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 91.0, 3_601.0, -3_601.0])
any_store = st.builds(
    VectorStore,
    id=st.sampled_from(["vs_1", "vs_2", "VS_2", TRIAL, ".", ""]),
    name=names,
    created_at=st.sampled_from([0, 9_000, 9_001, 9_061, 2**62]),
    age_seconds=ages,
    files=st.integers(-1, 2),
    declared_as=names,
    made_by=runs,
)
ids = st.frozensets(st.sampled_from(["vs_1", "vs_2", TRIAL]))
texts = st.lists(st.sampled_from([TRIAL_TEXT, "a text", ""]), max_size=3).map(tuple)
labels = st.frozensets(st.sampled_from(["docs", "LAWS", "vs_1", TRIAL]))
clocks = st.sampled_from([0.0, 9_000.0, NOW, 2.0**63])
claims = st.one_of(
    st.builds(Trial, st.just(TRIAL), st.just(OWN), ids, st.booleans()),
    st.builds(Duplicate, st.just("docs"), st.just(OWN), ids, counts),
    st.builds(Leftover, st.frozensets(st.sampled_from(["docs", "vs_1", TRIAL])), st.none() | texts, ages),
    st.builds(Surplus, any_store, st.sampled_from(Verdict), counts),
    st.builds(Orphan, labels, clocks, counts, st.booleans()),
    st.builds(Spare, st.sampled_from(["docs", "laws", "vs_2"]), any_store, st.sampled_from(Verdict), clocks, counts),
)


@quickly
@given(any_store, claims)
def test_no_claim_reaches_further_than_it_says(shown: VectorStore, claim: Claim) -> None:
    """Whatever is shown, what another run made goes only by its age, and what nobody made never, but by its id."""
    if not may_delete(shown, claim):
        return
    if isinstance(claim, Orphan | Spare):
        assert shown.declared_as is not None
        assert claim.now_seconds - shown.created_at > LEFTOVER_SECONDS
    if isinstance(claim, Orphan):
        names = {str(each).casefold() for each in (shown.id, shown.name, shown.declared_as)}
        assert names.isdisjoint(map(str.casefold, claim.labels))
        assert claim.with_data or (claim.empty is True and shown.files == 0)
    else:
        assert shown.files <= 0
    if isinstance(claim, Spare):
        assert shown.id.casefold() != claim.kept.id.casefold()
        assert claim.empty is True
    if isinstance(claim, Trial | Duplicate):
        assert shown.id.lower() not in claim.ids_before
        assert shown.made_by == OWN or shown.id == TRIAL
        return
    assert shown.made_by is not None
    assert shown.age_seconds is not None
    assert shown.age_seconds > (60 if isinstance(claim, Surplus) else 3_600)


# Whole runs, against a server that lies


PLAIN = {"provider_id": "milvus-shared", "age": 7_200, "run_id": "an earlier one", "chunks": [TRIAL_TEXT]}
"""A leftover, which may be deleted; each of the others differs from it in one thing, and may not."""
HARMLESS: tuple[dict[str, Any], ...] = ({}, {"declared_as": None})
DEAR: tuple[dict[str, Any], ...] = (
    {"run_id": None, "declared_as": None},
    {"run_id": None, "created_by": "register-collections"},
    {"files": 1},
    {"chunks": ["a text of somebody's"] * 3},
    {"chunks": ["a text of somebody's"]},
    {"chunks": [TRIAL_TEXT, "a text of somebody's"]},
    {"age": 3_000},
    {"age": -9},
    {"declared_as": "hr_docs"},
    {"name": "red_hat_docs", "declared_as": None, "chunks": [], "age": 9_000},
    {"name": "red_hat_docs", "declared_as": None, "run_id": None, "chunks": []},
    {"name": "somebody_elses_docs", "declared_as": None, "run_id": None},
    {"name": "eu_ai_act", "declared_as": "red_hat_docs", "chunks": ["a text of somebody's"]},
    {"name": f"{CANARY}notes"},
    {"name": None},
    {"id": "."},
    {"id": ".."},
)
LIES = (
    "another store",
    "another id",
    "another id in capitals",
    "another name",
    "another run",
    "no metadata",
    "nothing made",
    "the answer before",
    "a dot",
)
LISTS = ("it lags", "ids in capitals", "another order", "no metadata", "nothing", "other names")


class Liar:
    """In the place of `Http`: answers for a stand-in, and now and then something else than that one said."""

    url = "http://llama-stack.test"

    def __init__(self, server: FakeLlamaStack, instant: Instant, draw: random.Random, often: float) -> None:
        self._server = server
        self._instant = instant
        self._draw = draw
        self._often = often
        self.made: set[str] = set()
        self.deleted: list[str] = []
        self.filled: list[str] = []
        self._before: Any = None
        self._last_list: list[Any] = []

    def get(self, path: str, query: Mapping[str, str] | None = None, **_: object) -> Any:
        """Ask, and return the answer."""
        return self._ask("GET", path, query)

    def get_dated(self, path: str, query: Mapping[str, str]) -> tuple[Any, float | None]:
        """Return the list, or a lie about it, and the server's clock."""
        answer = copy.deepcopy(self._ask("GET", path, query))
        honest = answer["data"]
        if self._draw.random() < self._often:
            answer["data"] = self._lie_about_list(answer["data"])
        self._last_list = honest
        return answer, None if self._draw.random() < self._often else self._instant.time()

    def post(self, path: str, body: Mapping[str, Any], **_: object) -> Any:
        """Send, and return the answer, or a lie about what was made."""
        if path.endswith("insert") and body["chunks"]:
            self.filled.append(body["vector_store_id"])
        before = {_id(each) for each in self._server.stores}
        answer = copy.deepcopy(self._ask("POST", path, None, body))
        self.made |= {_id(each) for each in self._server.stores} - before
        if path in ("/v1/vector_stores", "/v1/vector-dbs"):
            if self._draw.random() < self._often:
                answer = self._lie_about_create(answer)
            self._before = copy.deepcopy(answer)
        return answer

    def delete(self, path: str) -> Any:
        """Delete, and note it."""
        segments = path.split("/")
        assert all(segments[1:]), path
        assert not {".", ".."} & {*segments}, path
        self.deleted.append(unquote(segments[-1]))
        return self._ask("DELETE", path)

    def another(self) -> "Liar":
        """Be that, too: there is no connection."""
        return self

    def close(self) -> None:
        """Do nothing."""

    def _ask(self, method: str, path: str, query: Any = None, body: Any = None) -> Any:
        self._instant.sleep(0.01)
        status, answer = self._server.ask(method, path, query, body)
        content = b"" if status == 204 else json.dumps(answer).encode()
        headers = {"Content-Type": "application/json"}
        return read(Answer(f"{method} {path}", status, headers, content, False, Endpoint(self.url)))

    def _lie_about_create(self, made: dict[str, Any]) -> dict[str, Any]:
        key = "identifier" if "identifier" in made else "id"
        other = copy.deepcopy(self._draw.choice(self._server.stores))
        match self._draw.choice(LIES):
            case "another store":
                return other
            case "another id":
                return made | {key: _id(other)}
            case "another id in capitals":
                return made | {key: _id(other).upper()}
            case "another name":
                return made | {"name": other["name"]}
            case "another run":
                return made | {"metadata": {"created_by": "register-collections another"}}
            case "no metadata":
                return made | {"metadata": None}
            case "nothing made":
                self._server.stores[:] = [each for each in self._server.stores if _id(each) != made[key]]
                return made | {key: _id(other)}
            case "the answer before":
                return self._before or made
            case _:
                return made | {key: ".."}

    def _lie_about_list(self, shown: list[Any]) -> list[Any]:
        match self._draw.choice(LISTS):
            case "it lags":
                return self._last_list
            case "ids in capitals" if shown and "id" in shown[0]:
                return [each | {"id": each["id"].upper()} for each in shown]
            case "another order":
                return self._draw.sample(shown, len(shown))
            case "no metadata":
                return [each | {"metadata": {}} for each in shown]
            case "nothing":
                return []
            case _:
                return [each | {"name": "another"} for each in shown]


def _id(shown: Mapping[str, Any]) -> str:
    return str(shown.get("id", shown.get("identifier")))


def fill(server: FakeLlamaStack, fields: Mapping[str, Any], now: float) -> str:
    """Make a vector store behind the run's back, and return its id."""
    own = f"{CANARY}{uuid.uuid4()}"
    drawn = {**PLAIN, "name": own, "declared_as": own, **fields}
    if server.generation == "dbs":
        body = {"vector_db_id": drawn["name"] or own, "embedding_model": "m", "embedding_dimension": 768}
        server.ask("POST", "/v1/vector-dbs", {}, body | {"provider_id": drawn["provider_id"]})
        store_id = _id(server.stores[-1])
    else:
        created_by = drawn.pop("created_by", None)
        keys = {key: drawn[key] for key in ("id", "provider_id", "run_id", "declared_as") if key in drawn}
        files = {"total": drawn.get("files", 0)}
        store_id = server.add(drawn["name"], created_at=int(now) - drawn["age"], file_counts=files, **keys)
        if created_by is not None:
            server.stores[-1]["metadata"]["created_by"] = created_by
    server.chunks[store_id] = [*drawn["chunks"]]
    return store_id


def play(seed: int) -> tuple[Liar, set[str]]:
    """Let one run meet what the seed draws; return what it did, and what of the others may be deleted."""
    logs.configure("error", "json", {})
    instant = Instant(seed)
    instant.now += 1_800_000_000
    draw = random.Random(seed)
    generation, version, kind = draw.choice(
        [
            ("dbs", "0.2.24", "remote::milvus"),
            ("0.3", "0.3.5", "remote::qdrant"),
            ("0.7", "0.7.3", "remote::milvus"),
            ("0.7", "0.7.3", "remote::milvus"),
            ("0.7", "1.5.0", "remote::weaviate"),
            ("0.7", "1.5.0", "remote::pgvector"),
        ]
    )
    server = FakeLlamaStack(cast(Any, generation), version=version, provider_type=kind)
    liar = Liar(server, instant, draw, often=draw.choice([0.0, 0.2, 0.7]))
    with time_of(instant, seed):
        may_go = {fill(server, fields, instant.now) for fields in HARMLESS if draw.random() < 0.5}
        for fields in draw.sample(DEAR, draw.randint(0, 6)):
            fill(server, fields, instant.now)
        budget = Deadline(120, instant.monotonic)
        asked = parse(parse_arguments(["--connections", draw.choice(["1", "2"])]), {})
        collections = [Collection(name, GRANITE, "milvus-shared") for name in ("red_hat_docs", "eu_ai_act")]

        def run() -> None:
            try:
                Run(asked, LlamaStack(cast(Http, liar)), None, budget, Progress()).carry_out(collections)
            except HookError:
                # Whatever it says of such a server, it has to leave the others alone.
                return

        instant.run([run])
    return liar, may_go if generation != "dbs" else set()


@quickly
@given(st.integers(0, 10**9))
def test_nothing_is_deleted_that_this_run_did_not_make(seed: int) -> None:
    """But for leftovers by their rule; and no chunk goes into what it did not make."""
    liar, may_go = play(seed)

    gone = {store_id.casefold() for store_id in liar.deleted}
    own = {store_id.casefold() for store_id in liar.made}
    assert gone <= own | {store_id.casefold() for store_id in may_go}
    assert {store_id.casefold() for store_id in liar.filled} <= own


def test_an_honest_server_is_left_clean() -> None:
    """So the property above is not one of a program that never deletes."""
    swept = 0
    for seed in range(40):
        liar, may_go = play(seed)
        swept += bool(may_go & {*liar.deleted})

    assert swept > 3
