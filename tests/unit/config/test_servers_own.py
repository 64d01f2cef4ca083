"""A server's own configuration: with some entries LlamaStack would not start, which can be said offline."""

import json
from pathlib import Path
from typing import Any

import pytest

from hook.config.file import Rules, load
from hook.deadline import Deadline
from tests.configuration import names, parse, problems
from tests.fake_llamastack import GRANITE, FakeLlamaStack
from tests.unit.conftest import Run

NOT_FOUND = "LlamaStack 0.4.3 and newer would not start"
STORE = "registered_resources.vector_stores[0]"
EMBEDDER = {"model_id": "emb", "provider_id": "st", "provider_model_id": "x/emb", "model_type": "embedding"}
ENTRY = {"vector_store_id": "a", "provider_id": "db", "embedding_model": "st/x/emb", "embedding_dimension": 8}


def configuration(
    *entries: dict[str, Any], models: Any = (EMBEDDER,), inference: Any = ("st",), kind: str = "x"
) -> str:
    """Return a server's own file; `inference` has the ids of its providers of models."""
    providers: dict[str, Any] = {"vector_io": [{"provider_id": "db", "provider_type": f"remote::{kind}"}]}
    if inference is not None:
        providers["inference"] = [{"provider_id": each, "provider_type": "remote::vllm"} for each in inference]
    resources = {"models": models, "vector_stores": [ENTRY | each for each in entries]}
    return json.dumps({"apis": ["vector_io"], "providers": providers, "registered_resources": resources})


def warnings(text: str, *, allow_unset: bool = False) -> dict[str, str]:
    return dict(parse(text, {}, allow_unset=allow_unset).warnings)


class TestKeys:
    @pytest.mark.parametrize("key", ["embedding_model", "embedding_dimension"])
    def test_a_declared_store_needs_model_and_dimension(self, key: str) -> None:
        expected = (f"{STORE}.{key}: is missing: LlamaStack would not start (Field required)",)

        assert problems(configuration({key: None})) == expected

    def test_a_list_of_one_s_own_needs_neither(self) -> None:
        text = json.dumps({"registered_resources": {"vector_stores": [{"vector_store_id": "a"}]}})

        assert warnings(text) == {}

    @pytest.mark.parametrize("is_offline", [True, False])
    def test_validate_says_what_keeps_it_from_the_server_s_file(self, tmp_path: Path, is_offline: bool) -> None:
        """A run with such a list has nothing to warn of."""
        path = tmp_path / "list.yaml"
        path.write_text(json.dumps({"registered_resources": {"vector_stores": [{"vector_store_id": "a"}]}}))

        found = load([path], {}, Deadline(5), Rules(is_offline=is_offline)).warnings.values()

        assert [hint.endswith("LlamaStack would not start (Field required)") for hint in found] == [True] * is_offline

    def test_a_dimension_may_be_unknown_here(self) -> None:
        (hint,) = warnings(configuration({"embedding_dimension": "${env.D}"}), allow_unset=True).values()

        assert hint.startswith("the environment variable D is not set")

    def test_in_the_old_section_it_is_a_warning(self) -> None:
        """Newer releases do not read it."""
        text = json.dumps({"apis": [], "vector_dbs": [{"vector_db_id": "a", "embedding_model": "m"}]})

        assert warnings(text) == {
            "vector_dbs[0].embedding_dimension": "is missing: LlamaStack would not start up to 0.2.24 "
            "(Field required); newer releases ignore this section"
        }


class TestProviders:
    @pytest.mark.parametrize("provider_id", ["dbs", "st", "${env.P:=dbs}"])
    def test_one_that_the_file_lacks_is_not_found(self, provider_id: str) -> None:
        shown = provider_id.removeprefix("${env.P:=").removesuffix("}")

        assert problems(configuration({"provider_id": provider_id})) == (
            f"{STORE}.provider_id: {NOT_FOUND} (Provider '{shown}' not found): add it to providers.vector_io, or write "
            "one of 'db'",
        )

    @pytest.mark.parametrize(
        ("wanted", "listed"),
        [
            ("db", [{"provider_id": "${env.URL:+db}"}]),
            ("${env.URL:=db}", [{"provider_id": "${env.URL:=db}"}]),
            ("dbs", [{"provider_id": "${env.P:=__disabled__}"}]),
            ("dbs", [{"provider_id": "${env.P}"}]),
            ("dbs", None),
        ],
    )
    def test_one_that_the_file_may_have_is_no_error(self, wanted: str, listed: Any) -> None:
        """A part of a configuration has the providers elsewhere."""
        content = json.loads(configuration({"provider_id": wanted}))
        content["providers"]["vector_io"] = listed

        assert warnings(json.dumps(content)) == {}

    def test_one_that_is_unknown_here_may_be_right(self) -> None:
        (hint,) = warnings(configuration({"provider_id": "${env.P}"}), allow_unset=True).values()

        assert hint.startswith("the environment variable P is not set")

    @pytest.mark.parametrize("off", ["__disabled__", "", None])
    def test_one_that_is_switched_off_is_not_there(self, off: str | None) -> None:
        content = json.loads(configuration({}))
        content["providers"]["vector_io"][0]["provider_id"] = off

        assert problems(json.dumps(content)) == (
            f"{STORE}.provider_id: {NOT_FOUND} (Provider 'db' not found): add it to providers.vector_io",
        )


class TestModels:
    @pytest.mark.parametrize("model", ["st/x/emb", "st/emb"])
    def test_a_registered_one_has_its_provider_s_prefix(self, model: str) -> None:
        """And the name at the provider; ogx 1.5.0 takes the model's own name."""
        assert warnings(configuration({"embedding_model": model})) == {}

    def test_a_prefix_in_its_own_name_is_not_doubled(self) -> None:
        """As in ogx 1.5.0."""
        assert warnings(configuration({"embedding_model": "st/y"}, models=[EMBEDDER | {"model_id": "st/y"}])) == {}

    @pytest.mark.parametrize("model", ["emb", "x/emb"])
    def test_one_without_the_prefix_is_not_found(self, model: str) -> None:
        assert problems(configuration({"embedding_model": model})) == (
            f"{STORE}.embedding_model: {NOT_FOUND} (Model '{model}' not found): write 'st/x/emb'",
        )

    def test_one_that_no_provider_can_have_is_not_found(self) -> None:
        assert problems(configuration({"embedding_model": "other/emb"})) == (
            f"{STORE}.embedding_model: {NOT_FOUND} (Model 'other/emb' not found): register it under "
            "registered_resources.models",
        )

    def test_sentence_transformers_lists_one_model(self) -> None:
        """And no other one by itself (0.3.5 to ogx 1.5.0)."""
        content = json.loads(configuration({"embedding_model": "st/nomic-ai/nomic-embed-text-v1.5"}))
        content["providers"]["inference"] = [{"provider_id": "st", "provider_type": "inline::sentence-transformers"}]
        assert warnings(json.dumps(content)) == {}

        content["registered_resources"]["vector_stores"][0]["embedding_model"] = "st/other"
        assert problems(json.dumps(content)) == (
            f"{STORE}.embedding_model: {NOT_FOUND} (Model 'st/other' not found): register it under "
            "registered_resources.models",
        )

    def test_a_registered_model_alone_marks_a_server_s_file(self) -> None:
        resources = {"models": [EMBEDDER], "vector_stores": [ENTRY | {"embedding_model": "emb"}]}

        assert problems(json.dumps({"registered_resources": resources})) == (
            f"{STORE}.embedding_model: {NOT_FOUND} (Model 'emb' not found): write 'st/x/emb'",
        )

    @pytest.mark.parametrize(
        ("model", "how"),
        [
            ("st/z", {}),
            ("x/emb", {"inference": ["st", "x"]}),
            ("x/emb", {"inference": None}),
            ("emb", {"inference": ["${env.P}"]}),
            ("emb", {"inference": ["${env.P:=__disabled__}"]}),
            ("emb", {"models": [EMBEDDER, {"model_id": "y"}]}),
            ("emb", {"models": [EMBEDDER, {"model_id": "y", "provider_id": "all"}]}),
        ],
    )
    def test_one_that_a_provider_may_list_is_a_warning(self, model: str, how: dict[str, Any]) -> None:
        (hint,) = warnings(configuration({"embedding_model": model}, **how)).values()

        assert hint.startswith(f"the file does not register '{model}': {NOT_FOUND} (Model '{model}' not")

    def test_what_a_variable_of_the_server_may_switch_on_counts(self) -> None:
        """As in the starter distribution, whose providers are there where their URL is set."""
        registered = configuration({}, models=[EMBEDDER | {"provider_id": "${env.P:+st}"}], inference=["${env.P:+st}"])
        assert warnings(registered) == {}

        listed = configuration({"embedding_model": "vllm/x"}, models=[], inference=["${env.URL:+vllm}"])
        assert len(warnings(listed)) == 1

    @pytest.mark.parametrize("kind", ["llm", "rerank", None, "${env.KIND:=llm}"])
    @pytest.mark.parametrize("model", ["st/x/emb", "st/emb"])
    def test_one_of_another_type_is_refused(self, model: str, kind: str | None) -> None:
        """Without a `model_type` it is an llm (0.4.7, 0.7.3 and ogx 1.5.0)."""
        text = configuration({"embedding_model": model}, models=[EMBEDDER | {"model_type": kind}])
        shown = "rerank" if kind == "rerank" else "llm"

        assert problems(text) == (
            f"{STORE}.embedding_model: {NOT_FOUND} (Model '{model}' is of type '{shown}'): give it "
            "model_type: embedding under registered_resources.models",
        )

    def test_a_type_that_is_unknown_here_may_be_right(self) -> None:
        assert warnings(configuration({}, models=[EMBEDDER | {"model_type": "${env.KIND}"}])) == {}

    def test_of_two_entries_of_a_model_one_may_embed(self) -> None:
        assert warnings(configuration({}, models=[EMBEDDER | {"model_type": "llm"}, EMBEDDER])) == {}

    @pytest.mark.parametrize("off", [{"provider_id": "__disabled__"}, {"model_id": ""}])
    def test_one_that_is_switched_off_is_not_registered(self, off: dict[str, Any]) -> None:
        text = configuration({}, models=[EMBEDDER | off], inference=["other"])

        assert len(problems(text)) == 1

    def test_without_models_in_the_file_nothing_is_known(self) -> None:
        """As in OpenShift AI's ConfigMap of vector stores, which has a vector_io provider and no model."""
        assert warnings(configuration({"embedding_model": "emb"}, models=[], inference=None)) == {}

    @pytest.mark.parametrize("entry", [{"provider_id": None}, {"embedding_model": "${env.M}"}])
    def test_what_the_server_may_not_register_is_not_judged(self, entry: dict[str, Any]) -> None:
        """LlamaStack passes over what has no provider."""
        hints = warnings(configuration({"embedding_model": "emb"} | entry), allow_unset=True)

        assert all("not start" not in hint for hint in hints.values())


class TestTables:
    @pytest.mark.parametrize(
        ("kind", "one", "other"),
        [
            ("pgvector", "a-b", "a_b"),
            ("pgvector", "x" * 60 + "1", "x" * 60 + "2"),
            ("milvus", "a b", "a.b"),
            ("oci", "a-b", "A_B"),
            ("sqlite-vec", "a-b", "A_b"),
            ("sqlite_vec", "a-b", "a_b"),
            ("weaviate", "a-b", "AB"),
        ],
    )
    def test_two_names_of_one_table_are_wrong(self, kind: str, one: str, other: str) -> None:
        text = configuration({"vector_store_id": one}, {"vector_store_id": other}, kind=kind)

        kind, path = kind.replace("_", "-"), "registered_resources.vector_stores"
        rest = (
            f"have the same table on {kind} once a server registers them from this file: a query of one finds the "
            "chunks of the other; rename one of them"
        )
        assert problems(text) == (
            f"{path}[0]: '{one}' and '{other}' {rest}",
            f"{path}[1]: '{other}' and '{one}' {rest}",
        )

    @pytest.mark.parametrize(
        ("kind", "one", "other"),
        [("faiss", "a-b", "a_b"), ("pgvector", "A", "a"), ("milvus", "A", "a"), ("weaviate", "a1", "a2")],
    )
    def test_two_names_of_two_tables_are_not(self, kind: str, one: str, other: str) -> None:
        text = configuration({"vector_store_id": one}, {"vector_store_id": other}, kind=kind)

        assert names(text) == [one, other]

    def test_on_two_providers_they_are_not(self) -> None:
        text = configuration({"vector_store_id": "a-b"}, {"vector_store_id": "a_b", "provider_id": "p"}, kind="milvus")
        content = json.loads(text)
        content["providers"]["vector_io"].append({"provider_id": "p", "provider_type": "remote::milvus"})

        assert names(json.dumps(content)) == ["a-b", "a_b"]

    @pytest.mark.parametrize("broken", [None, "milvus", ["milvus"], [{"provider_id": "db", "provider_type": 1}]])
    def test_providers_that_cannot_be_read_are_passed_over(self, broken: Any) -> None:
        content = json.loads(configuration({"vector_store_id": "a-b"}, {"vector_store_id": "a_b"}))
        content["providers"]["vector_io"] = broken

        assert names(json.dumps(content)) == ["a-b", "a_b"]


class TestAtARun:
    def test_a_running_server_is_asked_instead(self, server: FakeLlamaStack, run: Run, tmp_path: Path) -> None:
        """It runs, whatever this file says of a start; 0.3.5 takes a model without its prefix."""
        names = ({"vector_store_id": "eu-ai-act"}, {"vector_store_id": "eu_ai_act"})
        content = json.loads(configuration(*names, kind="milvus"))
        for entry in content["registered_resources"]["vector_stores"]:
            entry |= {"provider_id": "milvus-shared", "embedding_model": GRANITE, "embedding_dimension": 768}
        content["providers"]["vector_io"][0]["provider_id"] = "milvus-shared"
        path = tmp_path / "run.yaml"
        path.write_text(json.dumps(content))

        assert len(problems(path.read_text())) == 4
        outcome = run(server.url, config=str(path))

        assert (outcome.exit_code, outcome.states) == (0, ["registered", "registered"])
        assert [NOT_FOUND in each or "same table" in each for each in outcome.report["warnings"]] == [True] * 4
