"""Which model a collection gets where the server lists it late, or as something else."""

from dataclasses import replace
from typing import Any

import pytest

from hook.domain import Collection, Model, Provider
from hook.registration.resolve import may_come, resolve_all, switched_off
from tests.fake_llamastack import GRANITE, GRANITE_ID, FakeLlamaStack, answer
from tests.unit.conftest import Run, entries

MODELS = "GET /v1/models"
EMBED = "POST /v1/embeddings"
CREATE = "POST /v1/vector_stores"


def late(server: FakeLlamaStack, run: Run, **fields: Any) -> Any:
    """Run with one collection, against a server that lists no model at first."""
    server.models_after = 2
    return run(server.url, collections=entries("docs", **fields))


@pytest.mark.parametrize("model", [GRANITE, GRANITE_ID])
def test_a_model_that_is_listed_late_is_waited_for(server: FakeLlamaStack, run: Run, model: str) -> None:
    outcome = late(server, run, embedding_model=model)

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert server.lines().count(MODELS) == 3
    causes = [event["cause"] for event in outcome.events if event["event"] == "model.retry_scheduled"]
    assert causes == ["GET /v1/models does not list the embedding model of 'docs' yet"] * 2


def test_the_only_model_may_be_late_too(server: FakeLlamaStack, run: Run) -> None:
    """The entry names none, and at first there is none to choose."""
    outcome = late(server, run, embedding_model=None)

    assert outcome.exit_code == 4
    assert "the server has 2 embedding models" in outcome.detail("docs")
    assert server.lines().count(MODELS) == 3


def test_one_that_does_not_come_leaves_the_others(server: FakeLlamaStack, run: Run) -> None:
    """The wait takes half of the budget, so that they are registered."""
    server.inference_ids = ("sentence-transformers", "emb")

    outcome = run(
        server.url, "--timeout", "4", collections=[*entries("docs", embedding_model="emb/small"), *entries("notes")]
    )

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable", "registered"])
    assert outcome.detail("docs").startswith(
        "the server does not list the embedding model 'emb/small' (GET /v1/models), "
    )


def test_a_list_that_fails_is_no_late_model(server: FakeLlamaStack, run: Run) -> None:
    server.fault(MODELS, answer(503))

    outcome = run(server.url, "--timeout", "2", collections=entries("docs"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert "GET /v1/models answered 503" in outcome.report["message"]


@pytest.mark.parametrize("model", ["nope", "sentence-transformers/nope"])
def test_a_wrong_name_is_refused_at_once(server: FakeLlamaStack, run: Run, model: str) -> None:
    """Each provider has models already."""
    outcome = run(server.url, collections=entries("docs", embedding_model=model))

    assert (outcome.exit_code, outcome.states, server.lines().count(MODELS)) == (4, ["rejected"], 1)


GRANITE_MODEL = Model("st/granite", "granite", 768, "st")
LLM = Model("vllm/granite", "granite", None, "vllm", "llm")
ST, EMB, FAISS = Provider("st", "", "inference"), Provider("emb", "", "inference"), Provider("faiss", "faiss")


@pytest.mark.parametrize(
    ("wanted", "models", "providers", "expected"),
    [
        ("emb/x", [GRANITE_MODEL], [ST, EMB, FAISS], True),
        ("x", [GRANITE_MODEL], [ST, EMB], True),
        ("x", [], [EMB], True),
        (None, [], [EMB], True),
        (None, [LLM], [EMB], True),
        (None, [LLM], [Provider("vllm", api="inference")], False),
        ("granite", [GRANITE_MODEL], [ST, EMB], False),
        ("st/x", [GRANITE_MODEL], [ST, EMB], False),
        ("x", [GRANITE_MODEL], [ST], False),
        ("x", [Model("x-small", None, 1)], [ST], False),
        ("vllm/granite", [LLM], [EMB], False),
        (None, [GRANITE_MODEL], [ST, EMB], False),
        (None, [], [FAISS], False),
        ("x", [], [], False),
    ],
)
@pytest.mark.parametrize("key", ["embedding_model", "default_embedding_model"])
def test_what_may_come_is_of_a_provider_without_a_model(
    wanted: str | None, models: list[Model], providers: list[Provider], expected: bool, key: str
) -> None:
    """Named with the provider's prefix, without it, as the file's default, or not at all."""
    named: Any = {key: wanted}
    if wanted == "vllm/granite" and key == "default_embedding_model":
        expected = True

    assert may_come(Collection("docs", **named), models, providers) is expected


@pytest.mark.parametrize("item", [{"api": "vector_io"}, {"provider_id": "x"}, {"api": 1, "provider_id": 2}])
def test_a_provider_without_an_id_or_an_api_is_none(server: FakeLlamaStack, run: Run, item: dict[str, Any]) -> None:
    """Else the only one that there is would not be the only one."""
    only = {"api": "vector_io", "provider_id": "milvus-shared", "provider_type": "remote::pgvector"}
    server.fault("GET /v1/providers", answer(200, {"data": [item, only]}))

    assert run(server.url, collections=entries("docs", provider_id=None)).states == ["registered"]


class TestAModelThatIsListedAsLlm:
    """As vLLM's embedding models can be (0.3.5)."""

    @pytest.fixture(autouse=True)
    def _llm(self, server: FakeLlamaStack) -> None:
        server.model_kind = "llm"

    def test_one_that_the_entry_names_is_taken_with_a_warning(self, server: FakeLlamaStack, run: Run) -> None:
        outcome = run(server.url, collections=entries("docs"))

        assert (outcome.exit_code, outcome.states) == (0, ["registered"])
        assert outcome.report["warnings"] == [
            f"model '{GRANITE_ID}': the server lists it as llm, and it makes vectors; register it with model_type: "
            "embedding in LlamaStack's own configuration"
        ]
        assert "model.listed_otherwise" in outcome.event_names()

    def test_one_that_nobody_names_is_not_chosen(self, server: FakeLlamaStack, run: Run) -> None:
        """The only embedding model is."""
        collections = entries("docs", embedding_model=None, embedding_dimension=None)

        assert run(server.url, collections=collections).states == ["registered"]
        assert server.stores[0]["metadata"]["embedding_dimension"] == "384"

    @pytest.mark.parametrize(("status", "code", "state"), [(400, 4, "rejected"), (500, 3, "unavailable")])
    def test_one_that_makes_no_vector_is_none(
        self, server: FakeLlamaStack, run: Run, status: int, code: int, state: str
    ) -> None:
        """Nothing is created with it."""
        server.fault(EMBED, answer(status))

        outcome = run(server.url, collections=entries("docs"))

        assert (outcome.exit_code, outcome.states, server.stores) == (code, [state], [])
        assert "as llm, and it makes no vector: POST /v1/embeddings answered" in outcome.detail("docs")


@pytest.mark.parametrize(
    ("apis", "version", "warns"),
    [
        (("files",), "1.0.4", True),
        (("files", "file_processors"), "1.5.0", False),
        ((), "1.5.0", False),
        (("files",), "0.7.3", False),
    ],
)
def test_ogx_needs_a_processor_for_files(run: Run, apis: tuple[str, ...], version: str, warns: bool) -> None:
    """Without it each file that is attached ends as failed, while inserts work (1.5.0)."""
    with FakeLlamaStack(version=version, apis=apis) as server:
        outcome = run(server.url, collections=entries("docs"))
        checked = run(server.url, "check", collections=entries("docs"))

    assert (outcome.exit_code, bool(outcome.report["warnings"])) == (0, warns)
    assert checked.report["warnings"] == []
    assert ("files.no_processor" in outcome.event_names()) is warns


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("provider_id ${env.MILVUS_URL:+milvus}", True),
        ("provider_id ${env.MILVUS_URL:+other}", False),
        ("provider_id ${env.PROVIDER:=}", False),
        ("provider_id __disabled__", False),
        ("provider_id ${env.MILVUS_URL:+inference}", False),
        ("vector_store_id ${env.MILVUS_URL:+milvus}", False),
    ],
)
def test_an_entry_that_is_off_only_here_is_a_warning(written: str, expected: bool) -> None:
    providers = [Provider("milvus", "milvus"), Provider("inference", "", "inference")]

    warnings = switched_off({"docs": written}, providers)

    said = (
        "'docs' is switched off, since MILVUS_URL is not set for the hook; the server has its provider 'milvus', so "
        "give the hook the server's variables too"
    )
    assert warnings == ([said] if expected else [])


def test_what_is_off_only_here_is_told_in_the_report(server: FakeLlamaStack, run: Run) -> None:
    collections = [*entries("docs", provider_id="${env.MILVUS_URL:+milvus-shared}"), *entries("notes")]

    outcome = run(server.url, "check", collections=collections)

    assert outcome.states == ["disabled", "missing"]
    assert len(outcome.report["warnings"]) == 1
    assert "config.switched_off_here" in outcome.event_names()


class TestAModelWithTwoIds:
    """From ogx 1.2.2 on a registered model is listed once more, by its provider, if its own name is another one."""

    SHORT = "sentence-transformers/granite"

    @pytest.fixture(autouse=True)
    def _twice(self, server: FakeLlamaStack) -> None:
        server.second_ids = {GRANITE_ID: self.SHORT}

    @pytest.mark.parametrize("model", [GRANITE, GRANITE_ID, SHORT])
    @pytest.mark.parametrize("made_with", [GRANITE_ID, SHORT])
    def test_a_store_made_with_the_other_one_has_not_drifted(
        self, server: FakeLlamaStack, run: Run, model: str, made_with: str
    ) -> None:
        server.add("docs", embedding_model=made_with)

        outcome = run(server.url, "check", collections=entries("docs", embedding_model=model))

        assert (outcome.exit_code, outcome.states) == (0, ["present"])

    def test_its_name_at_the_provider_means_either(self, server: FakeLlamaStack, run: Run) -> None:
        assert run(server.url, collections=entries("docs", embedding_model=GRANITE)).states == ["registered"]


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({}, True),
        ({"embedding_dimension": None}, True),
        ({"embedding_dimension": 256}, False),
        ({"provider_id": "vllm"}, False),
        ({"resource_id": "other/granite"}, False),
    ],
)
def test_the_only_model_may_be_listed_twice(other: dict[str, Any], is_same: bool) -> None:
    """Of one that is shortened to several lengths there are several."""
    models = [replace(GRANITE_MODEL, id="st/g", **other), GRANITE_MODEL]

    targets, rejected = resolve_all([Collection("docs")], models, [FAISS])

    assert [each.embedding_dimension for each in targets] == [768] * is_same
    assert len(rejected) == (not is_same)
