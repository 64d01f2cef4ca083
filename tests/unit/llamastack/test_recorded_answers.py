"""What real servers answered, release by release, read by the hook's own client.

`tests/live/record.py` wrote the files in `answers/` from running servers; nothing in them was edited by hand.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import responses

from hook.deadline import Deadline
from hook.domain import Collection, Model, Observation, State, Verdict
from hook.errors import HookError, RefusedError, UnavailableError
from hook.http.client import Http
from hook.http.endpoint import Endpoint
from hook.llamastack.api import LlamaStack
from hook.llamastack.dialects import VectorDbsDialect, VectorStoresDialect, find_dialect
from hook.llamastack.verdicts import INSERT, QUERY
from hook.registration.journal import Journal
from hook.registration.judge import Judge
from hook.registration.resolve import resolve
from tests.fake_llamastack import GRANITE

URL = "http://stack:8321"
ANSWERS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parents[1] / "answers").glob("*.json")}
RELEASES = sorted(ANSWERS)
WITH_MILVUS = [release for release in RELEASES if "milvus_create" in ANSWERS[release]]
DBS_RELEASES = ("0.2.12", "0.2.16", "0.2.24")
WANTED = Collection("red_hat_docs", GRANITE, "milvus-shared", 768)


@pytest.fixture
def replay() -> Iterator[Callable[..., Http]]:
    """Return a function that answers as a release did, and gives a client of it."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:

        def call(release: str, *names: str, api_key: str | None = None) -> Http:
            for name in names:
                answer = ANSWERS[release][name]
                mock.add(
                    answer["method"],
                    URL + answer["path"],
                    body=answer["body"],
                    status=answer["status"],
                    content_type=answer["content_type"],
                )
            return Http(Endpoint(URL, api_key), 5, Deadline(60))

        yield call


def failure(call: Callable[[], Any]) -> HookError:
    """Return the error of the hook's own that a call raises."""
    with pytest.raises(HookError) as caught:
        call()
    return caught.value


def test_every_release_of_the_matrix_is_recorded() -> None:
    """A release that is added to the matrix has to be recorded, too."""
    folder = Path(__file__).parents[2] / "live" / "releases"

    assert sorted(path.parent.name for path in folder.glob("*/run-decl.yaml")) == RELEASES


@pytest.mark.parametrize("release", RELEASES)
def test_the_dialect_is_found(release: str, replay: Callable[..., Http]) -> None:
    """By asking, on a server that has nothing yet."""
    dialect, stores = find_dialect(replay(release, "list_empty", "list_of_the_other_dialect"))

    assert isinstance(dialect, VectorDbsDialect if release in DBS_RELEASES else VectorStoresDialect)
    assert stores == ()


@pytest.mark.parametrize("release", RELEASES)
def test_models_and_providers_are_understood(release: str, replay: Callable[..., Http]) -> None:
    """The configured model is found under the name that this release wants, and never by being the first."""
    server = LlamaStack(replay(release, "health", "version", "models", "providers"))
    server.check_health()
    target = resolve(WANTED, server.models(), server.providers())

    assert server.version() == release.removeprefix("ogx-")
    assert target.model.id in (GRANITE, f"sentence-transformers/{GRANITE}")
    assert (target.provider.id, target.embedding_dimension) == ("milvus-shared", 768)
    # The base configurations have another faiss under that id, since Milvus Lite does not boot everywhere.
    assert target.provider.kind == "faiss"


@pytest.mark.parametrize("release", RELEASES)
def test_what_was_created_is_found_as_present(release: str, replay: Callable[..., Http]) -> None:
    """The list shows what was asked for; a name resolves only up to 0.2.24."""
    names = ["models", "providers", "list", "list_of_the_other_dialect", "create", "insert_alive", "query_alive"]
    server = LlamaStack(replay(release, *names))
    target = resolve(WANTED, server.models(), server.providers())
    listed = server.vector_stores()
    created = server.create_vector_store(target)
    proof = server.prove(created.id, target.provider.kind, [INSERT, QUERY])
    proofs = {store.id: proof for store in listed}
    finding = Judge(on_duplicate="oldest").findings(
        [target], Observation(1, listed, proofs=proofs), Journal("this run")
    )["red_hat_docs"]

    assert proof.verdict is Verdict.ALIVE
    assert proof.embedding_dimension in (None, 768)
    assert finding.state is State.PRESENT
    assert finding.addressed_by == ("name" if release in DBS_RELEASES else "id")
    assert created.id in [store.id for store in listed]


@pytest.mark.parametrize("release", [release for release in RELEASES if release != "0.3.5"])
def test_a_declared_collection_is_listed_under_its_own_name(release: str, replay: Callable[..., Http]) -> None:
    """0.3.x alone ignores what its configuration declares."""
    stores = LlamaStack(replay(release, "list_with_declared", "list_of_the_other_dialect")).vector_stores()

    assert "declared_docs" in [store.id for store in stores]


@pytest.mark.parametrize("question", [INSERT, QUERY])
@pytest.mark.parametrize("release", RELEASES)
def test_an_id_that_nobody_knows_is_lost(release: str, question: str, replay: Callable[..., Http]) -> None:
    """Each release has its own words for it."""
    name = f"{question}_unknown"
    asked = ANSWERS[release][name]["request"]["vector_db_id"]

    assert LlamaStack(replay(release, name)).prove(asked, "faiss", [question]).verdict is Verdict.LOST


@pytest.mark.parametrize("release", WITH_MILVUS)
def test_milvus_is_proven_as_far_as_the_release_allows(release: str, replay: Callable[..., Http]) -> None:
    """Up to 0.7.3 the query of a fresh vector store is answered 500, which tells nothing."""
    server = LlamaStack(replay(release, "version", "milvus_insert_alive", "milvus_query_alive"))
    server.version()

    expected = Verdict.ALIVE if release == "ogx-1.2.5" else Verdict.UNDECIDED
    assert server.prove("vs_x", "milvus", [INSERT, QUERY]).verdict is expected


@pytest.mark.parametrize("release", WITH_MILVUS)
def test_milvus_is_lost_after_a_restart_where_it_is(release: str, replay: Callable[..., Http]) -> None:
    """Listed as before, and yet every insert fails: 0.3.0 to ogx 1.2.3."""
    server = LlamaStack(replay(release, "version", "milvus_insert_after_restart", "milvus_query_after_restart"))
    server.version()

    # On ogx 1.2.5 inserts work again, and queries answer 500: what nobody can read is of no use.
    expected = {"0.2.24": Verdict.UNDECIDED, "ogx-1.2.5": Verdict.DEAD}.get(release, Verdict.LOST)
    asked = ANSWERS[release]["milvus_insert_after_restart"]["request"]["vector_db_id"]

    assert server.prove(asked, "milvus", [INSERT, QUERY]).verdict is expected


@pytest.mark.parametrize("release", RELEASES)
def test_the_model_makes_a_vector(release: str, replay: Callable[..., Http]) -> None:
    """Up to 0.2.24 under a path that is gone since."""
    names = ["embedding", "embedding_of_the_older_path"] if release in DBS_RELEASES else ["embedding"]
    server = LlamaStack(replay(release, *names))

    assert len(server.embed(Model(f"sentence-transformers/{GRANITE}", None, 768))) == 768


@pytest.mark.parametrize(
    ("release", "name", "expected"),
    [
        (release, name, expected)
        for release in RELEASES
        for name, expected in (
            ("create_unknown_model", "no/such-model"),
            ("create_invalid", "embedding_dimension: Input should be a valid integer, unable to parse string as an "),
            ("create_malformed", "Input should be a valid string"),
            ("create_as_the_loop_does", ""),
        )
        # The path of the loop is newer than /v1/vector-dbs.
        if name != "create_as_the_loop_does" or release not in DBS_RELEASES
    ],
)
def test_refusals_are_readable(release: str, name: str, expected: str, replay: Callable[..., Http]) -> None:
    """Without the brackets and quotes of four different shapes, and with status, method and path."""
    path, status = ANSWERS[release][name]["path"], ANSWERS[release][name]["status"]
    error = failure(lambda: replay(release, name).post(path, {}))

    assert isinstance(error, RefusedError)
    assert str(error).startswith(f"POST {path} answered {status}: ")
    assert expected in error.detail
    assert not set("{}") & set(error.detail)


@pytest.mark.parametrize(
    ("release", "name"), [("0.2.24", "create_unknown_provider"), ("ogx-1.5.0", "create_without_milvus")]
)
def test_failures_of_the_server_are_unavailable(release: str, name: str, replay: Callable[..., Http]) -> None:
    """Whatever the reason, it does not tell more than that it failed."""
    answer = ANSWERS[release][name]
    error = failure(lambda: replay(release, name).post(answer["path"], {}))

    assert isinstance(error, UnavailableError)
    assert str(error) == f"POST {answer['path']} answered 500: Internal server error: An unexpected error occurred."


@pytest.mark.parametrize("release", RELEASES)
def test_a_missing_and_a_wrong_token_have_their_own_sentences(release: str, replay: Callable[..., Http]) -> None:
    """With the server's words before them."""
    path = ANSWERS[release]["list_without_token"]["path"]

    missing = failure(lambda: replay(release, "list_without_token", "list_with_wrong_token").get(path))
    wrong = failure(lambda: replay(release, api_key="wrong").get(path))

    assert re.search(
        r" answered 401 \(.*\): no API key is configured for \S+; "
        r"set LLAMA_STACK_API_KEY_FILE \(Helm: apiKeySecret\.name\)$",
        str(missing),
    )
    assert " answered 401 (Authentication failed: 401): " in str(wrong)
    assert str(wrong).endswith(" did not accept the API key; check LLAMA_STACK_API_KEY_FILE (Helm: apiKeySecret.name)")


@pytest.mark.parametrize("release", DBS_RELEASES)
def test_even_health_wants_the_token_up_to_0_2_24(release: str, replay: Callable[..., Http]) -> None:
    """So the wait ends at once, with the sentence that says what to do."""
    error = failure(LlamaStack(replay(release, "health_without_token")).check_health)

    assert str(error).startswith("GET /v1/health answered 401 (")
    assert re.search(r"\): no API key is configured for \S+; set LLAMA_STACK_API_KEY_FILE \(Helm", str(error))
