"""Which answers say that nobody knows a vector store: taken for one, a foreign «not found» orphans its chunks."""

import json
from pathlib import Path

import pytest

from hook.domain import Verdict
from hook.errors import RefusedError
from hook.http.answers import error_text
from hook.llamastack.verdicts import INSERT, QUERY, Outcome, is_unknown_id, prove
from tests.fake_llamastack import FakeLlamaStack, answer
from tests.unit.conftest import Run, entries

ANSWERS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parents[1] / "answers").glob("*.json")}
NO_MODEL = "Model 'ibm-granite/granite-embedding-30m' not found. Use 'client.models.list()' to list available Models."
MADE_UP_ID = "vs_ffffffff-ffff-4fff-bfff-ffffffffffff"


def is_unknown(detail: str, store_id: str, status: int = 404) -> bool:
    """Tell whether an answer with this text, as it comes over the wire, says so of this id."""
    read = error_text(json.dumps({"detail": detail}).encode())
    return is_unknown_id(RefusedError(read, status=status, detail=read), store_id)


@pytest.mark.parametrize("name", ["insert_unknown", "query_unknown", "delete_unknown"])
@pytest.mark.parametrize("release", sorted(ANSWERS))
def test_each_release_says_it_in_words_of_its_own(release: str, name: str) -> None:
    """And none of them says it of a part of that id, or of a longer one."""
    recorded = ANSWERS[release][name]
    detail = error_text(recorded["body"].encode())
    error = RefusedError(detail, status=recorded["status"], detail=detail)

    assert is_unknown_id(error, MADE_UP_ID)
    assert not is_unknown_id(error, MADE_UP_ID[:-1])
    assert not is_unknown_id(error, MADE_UP_ID + "f")


@pytest.mark.parametrize("where", ["Llama Stack", "OGX"])
@pytest.mark.parametrize("status", [400, 404])
def test_chroma_says_it_without_quotes(status: int, where: str) -> None:
    """As 0.3.5, 0.4.7 and 0.7.3 do after a restart, and ogx by its source (POST /v1/vector-io/insert)."""
    said = f"Invalid value: Vector DB vs_1 not found in {where}"

    assert is_unknown(said, "vs_1", status)
    assert not is_unknown(said, "vs_", status)
    assert not is_unknown(f"{said} nor elsewhere", "vs_1", status)


@pytest.mark.parametrize("release", sorted(ANSWERS))
def test_no_release_says_it_of_a_model_or_a_provider(release: str) -> None:
    for name in ("create_unknown_model", "create_unknown_provider"):
        recorded = ANSWERS[release][name]
        detail = error_text(recorded["body"].encode())
        error = RefusedError(detail, status=recorded["status"], detail=detail)

        for store_id in ("no/such-model", "model", "no-such-provider", "Provider", "client.models.list()"):
            assert not is_unknown_id(error, store_id)


@pytest.mark.parametrize(
    "detail",
    [
        "Model 'granite' not found",
        "Invalid value: Model granite not found",
        "Provider `granite` not found",
        "File 'granite' not found",
        "Table 'granite' not found",
        "Collection granite not found",
        "Collection 'granite' not found",
        "Prompt 'granite' not found in Vector Store 'granite'",
        "File 'f' of Vector Store 'granite' not found",
        "Vector Store File 'granite' not found",
        "Model 'm' not found for Vector Store 'granite' not found",
        "Vector Store 'granite': Model 'm' not found",
        "Vector Store 'granite' not found: Model 'm' not found",
        "Vector Store 'granite' not found. Model 'granite' not found",
        "Vector_store `granite` not served by any of the providers: x. Model 'm' not found",
        "Model 'm' not served by any of the providers of Vector_store `granite`",
        "Vector Store 'granite' not found in the backend's collections",
        "Vector Store 'granite-2' not found",
        "Vector Store 'Granite' not found",
        "Vector Store granite not found",
        "Vector Store 'granite` not found",
        "Not Found",
        "granite not found",
    ],
)
def test_another_not_found_is_not_the_vector_stores(detail: str) -> None:
    assert not is_unknown(detail, "granite")
    assert not is_unknown(detail, "granite", 400)


@pytest.mark.parametrize(
    "detail",
    [
        "Vector Store '{}' not found",
        "Vector Store '{}' not found. Use 'client.vector_dbs.list()' to list available Vector Stores.",
        "Vector Store '{}' not found. Use 'client.vector_stores.list()' to list available Vector Stores.",
        "Invalid value: Vector_store `{}` not served by any of the providers: model-a, b. Make sure there is one.",
        'vector store "{}" not found.',
    ],
)
@pytest.mark.parametrize(
    "store_id",
    [
        "granite",
        "model",
        "ibm-granite/granite-embedding-30m",
        "a'b",
        "' not found",
        ".*",
        "a(b|c)[d]\\1$",
        " a ",
        "a%2Fb c",
        "a\tb\x1b[31m\u202e",
        "Ä",
        "Collection x",
        "Expected 768, got 0",
    ],
)
def test_an_id_of_any_kind_is_found_as_a_whole(store_id: str, detail: str) -> None:
    refused = RefusedError("", status=400, detail=error_text(json.dumps({"detail": detail.format(store_id)}).encode()))

    assert is_unknown_id(refused, store_id)
    assert not is_unknown_id(refused, store_id + "x")
    for question in (INSERT, QUERY):
        for kind in ("faiss", "qdrant", "chromadb"):
            assert prove(store_id, kind, [Outcome(question, error=refused)], None).verdict is Verdict.LOST


def test_an_id_that_the_message_cuts_is_not_told_as_lost() -> None:
    """What follows it could have been anything, another id included."""
    assert not is_unknown(f"Vector_store '{'x' * 500}' not found", "x" * 500)
    assert not is_unknown(f"Vector_store '{'x' * 500}' not found", "x" * 396)


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("store_id", ["granite", "client", "models", "ibm-granite/granite-embedding-30m"])
def test_a_model_that_is_not_found_replaces_no_collection(store_id: str, status: int, run: Run) -> None:
    """Its name would be taken over by an empty vector store, and its chunks would be nobody's."""
    with FakeLlamaStack("dbs") as server:
        run(server.url, collections=entries(store_id))
        server.fault("POST /v1/vector-io/query", answer(status, {"detail": NO_MODEL}))
        outcome = run(server.url, "--on-lost", "recreate", collections=entries(store_id))

    assert (outcome.exit_code, outcome.states) == (4, ["rejected"])
    assert server.lines().count("POST /v1/vector-dbs") == 1
