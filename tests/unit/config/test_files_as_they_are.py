"""Files that other programs write, and that others read: what LlamaStack takes, and what is only told of them."""

import json
from typing import Any

import pytest

from hook.config.file import Config
from hook.domain import Collection, State
from hook.errors import MAX_PROBLEMS
from tests.configuration import names, parse, problems, stores

AI_ASSETS = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: gen-ai-aa-vector-stores
data:
  config.yaml: |
    providers:
      vector_io:
        - provider_id: milvus-shared
          provider_type: remote::milvus
          config: {uri: "http://milvus:19530", token: "${env.MILVUS_TOKEN}"}
    registered_resources:
      vector_stores:
        - provider_id: milvus-shared
          vector_store_id: vs_7fb9f1c9-4f36-4b5a-8c1b-6b2f3d1d8e11
          vector_store_name: "HR documents"
          embedding_model: ibm-granite/granite-embedding-125m-english
          embedding_dimension: 768
          metadata:
            description: "Policies, for ${env.TEAM:=everyone}"
            pages: 12
            public: true
            rating: 4.5
"""


def test_red_hat_s_configmap_is_read_as_it_is() -> None:
    """Its entry has a second name and metadata, and what the server alone expands is left to it."""
    config = parse(AI_ASSETS, {})

    (found,) = config.collections
    assert found == Collection(
        "vs_7fb9f1c9-4f36-4b5a-8c1b-6b2f3d1d8e11",
        "ibm-granite/granite-embedding-125m-english",
        "milvus-shared",
        768,
        alias="HR documents",
        metadata={"description": "Policies, for everyone", "pages": 12, "public": True, "rating": 4.5},
    )
    assert config.aliases == {found.name: "HR documents"}
    assert config.warnings == {}


class TestKeys:
    def test_what_llamastack_ignores_is_told(self) -> None:
        """With its path; the collection counts."""
        config = parse(stores({"vector_store_id": "a", "owner": "hr"}), {})

        assert [each.name for each in config.collections] == ["a"]
        assert config.warnings == {
            "registered_resources.vector_stores[0].owner": "unknown key, ignored; valid keys: vector_store_id, "
            "embedding_model, embedding_dimension, provider_id, chunking_strategy, provider_vector_store_id, "
            "vector_store_name, metadata"
        }

    def test_what_must_be_meant_for_a_known_key_is_wrong(self) -> None:
        assert problems(stores({"vector_store_id": "a", "metdata": {}})) == (
            "registered_resources.vector_stores[0].metdata: unknown key; did you mean metadata?",
        )

    def test_metadata_is_no_key_of_the_older_section(self) -> None:
        """Which no release up to 0.2.24 would keep."""
        config = parse(json.dumps({"vector_dbs": [{"vector_db_id": "a", "metadata": {"x": "y"}}]}), {})

        assert config.collections == (Collection("a"),)
        assert list(config.warnings) == ["vector_dbs[0].metadata"]


class TestOptional:
    @pytest.mark.parametrize("key", ["vector_store_name", "embedding_model", "provider_vector_store_id"])
    def test_what_expands_to_nothing_is_not_given(self, key: str) -> None:
        (found,) = parse(stores({"vector_store_id": "a", key: "${env.UNSET:=}"}), {}).collections

        assert found == Collection("a")


class TestIds:
    @pytest.mark.parametrize("key", ["vector_store_id", "vector_db_id"])
    def test_one_that_expands_to_nothing_switches_off(self, key: str) -> None:
        """LlamaStack leaves the entry out; the name is the one that it has where the variable is set."""
        entry = {key: "${env.UNSET:+handbook}", "embedding_model": 1}
        config = (
            parse(json.dumps({"vector_dbs": [entry, {key: "a"}]}), {})
            if key == "vector_db_id"
            else parse(stores(entry, {key: "a"}), {})
        )

        assert [each.name for each in config.collections] == ["a"]
        assert config.names == ("handbook", "a")
        finding = config.findings(State.VALID)["handbook"]
        assert finding.state is State.DISABLED
        assert finding.detail.startswith(f"its {key} ${{env.UNSET:+handbook}} switches it off; ")

    def test_one_without_a_name_in_it_is_told_as_it_is(self) -> None:
        assert parse(stores({"vector_store_id": "${env.UNSET:=}"}, {"vector_store_id": "a"}), {}).disabled == {
            "${env.UNSET:=}": "vector_store_id ${env.UNSET:=}"
        }

    def test_all_of_them_are_a_problem(self) -> None:
        """The variable may be missing only in the hook's pod."""
        assert problems(stores({"vector_store_id": "${env.UNSET:+handbook}"}), allow_empty=True) == (
            "registered_resources.vector_stores: all 1 declared collections are switched off by their "
            "vector_store_id (handbook): give the hook the server's variables too",
        )

    def test_a_second_name_alone_is_the_id_too(self) -> None:
        entry = {"vector_store_name": "Handbook", "embedding_model": "m"}

        assert parse(stores(entry), {}).collections == (Collection("Handbook", "m"),)

    @pytest.mark.parametrize(
        "fields", [{"apis": ["vector_io"]}, {"providers": {}}], ids=["with its APIs", "with its providers"]
    )
    def test_a_server_s_own_file_needs_the_id(self, fields: dict[str, Any]) -> None:
        assert problems(stores({"vector_store_name": "Handbook"}, **fields)) == (
            "registered_resources.vector_stores[0].vector_store_id: is missing, and LlamaStack does not start without "
            "it",
        )

    def test_another_one_at_the_provider_is_told(self) -> None:
        """No create through the API can name a table."""
        entry = {"vector_store_id": "a", "provider_vector_store_id": "old_table"}

        assert parse(stores(entry), {}).warnings == {
            "registered_resources.vector_stores[0].provider_vector_store_id": "'old_table' is not the collection's id. "
            "The API cannot attach an existing table; remove this key, and the server makes a new table"
        }

    @pytest.mark.parametrize("table", ["a", "${env.UNSET:=}", "${env.UNSET:=a}"])
    def test_the_id_itself_at_the_provider_is_not(self, table: str) -> None:
        assert parse(stores({"vector_store_id": "a", "provider_vector_store_id": table}), {}).warnings == {}

    def test_one_at_the_provider_may_be_unknown_here(self) -> None:
        entry = {"vector_store_id": "a", "provider_vector_store_id": "${env.UNSET}"}
        (hint,) = parse(stores(entry), {}, allow_unset=True).warnings.values()

        assert hint.startswith("the environment variable UNSET is not set")


class TestMetadata:
    @pytest.mark.parametrize("metadata", [None, {}])
    def test_it_may_be_empty(self, metadata: Any) -> None:
        assert parse(stores({"vector_store_id": "a", "metadata": metadata}), {}).collections == (Collection("a"),)

    def test_it_is_a_mapping(self) -> None:
        assert problems(stores({"vector_store_id": "a", "metadata": "text"})) == (
            "registered_resources.vector_stores[0].metadata: must be a mapping, not 'text'",
        )

    @pytest.mark.parametrize(
        ("value", "kind"), [("[a]", "a list"), ("{}", "a mapping"), ("", "empty"), (".inf", "inf"), ("0x10", "0x10")]
    )
    def test_what_cannot_be_passed_on_is_told(self, value: str, kind: str) -> None:
        """LlamaStack ignores all of it, so it is nothing to stop for."""
        text = f"registered_resources: {{vector_stores: [{{vector_store_id: a, metadata: {{b: c, x: {value}}}}}]}}"
        config = parse(text, {})

        assert config.collections[0].metadata == {"b": "c"}
        assert config.warnings == {
            "registered_resources.vector_stores[0].metadata.x": "ignored: must be a string, a number or a boolean, "
            f"not {kind}"
        }

    def test_a_key_that_is_no_text_is_told(self) -> None:
        config = parse("registered_resources: {vector_stores: [{vector_store_id: a, metadata: {1: x}}]}", {})

        assert config.collections[0].metadata == {}
        assert config.warnings == {
            "registered_resources.vector_stores[0].metadata.1": "ignored: the key must be a string; quote it"
        }

    @pytest.mark.parametrize("number", [0, 7, -5, 1_700_000_000, -123_456_789_012_345])
    def test_whole_numbers_are_passed_on(self, number: int) -> None:
        """A date in seconds is longer than any dimension."""
        (found,) = parse(stores({"vector_store_id": "a", "metadata": {"x": number}}), {}).collections

        assert found.metadata == {"x": number}

    def test_warnings_are_bounded(self) -> None:
        """As problems are: a report is for people."""
        metadata: dict[str, Any] = {f"x{number}": [] for number in range(MAX_PROBLEMS + 7)}
        config = parse(stores({"vector_store_id": "a", "embedding_dimension": 8, "metadata": metadata}), {})

        assert len(config.warnings) == MAX_PROBLEMS + 1
        assert config.warnings["…"] == "and 7 more"

    @pytest.mark.parametrize("key", ["created_by", "embedding_model", "provider_id", "provider_vector_store_id"])
    def test_what_others_write_is_not_passed_on(self, key: str) -> None:
        """By it the server and this program know the vector store."""
        config = parse(stores({"vector_store_id": "a", "metadata": {key: "x"}}), {})

        assert config.collections[0].metadata == {}
        assert config.warnings == {
            f"registered_resources.vector_stores[0].metadata.{key}": "ignored: LlamaStack or this program "
            "writes this key"
        }

    def test_a_variable_that_is_unset_is_wrong_in_it_too(self) -> None:
        assert problems(stores({"vector_store_id": "a", "metadata": {"x": "${env.NONE}"}})) == (
            "registered_resources.vector_stores[0].metadata.x: the environment variable NONE is not set; set it, "
            "or write ${env.NONE:=DEFAULT}",
        )

    def test_a_description_may_be_long_and_full_of_brackets(self) -> None:
        text = "{{ not a template }} " * 200

        assert parse(stores({"vector_store_id": "a", "metadata": {"x": text}}), {}).collections[0].metadata["x"] == text


class TestAliases:
    def test_the_name_itself_is_no_alias(self) -> None:
        assert parse(stores({"vector_store_id": "a", "vector_store_name": "a"}), {}).collections == (Collection("a"),)

    @pytest.mark.parametrize(
        ("entries", "expected"),
        [
            (
                [
                    {"vector_store_id": "a", "vector_store_name": "x"},
                    {"vector_store_id": "b", "vector_store_name": "x"},
                ],
                "[1].vector_store_name: 'x' is already declared at registered_resources.vector_stores[0]"
                ".vector_store_name",
            ),
            (
                [{"vector_store_id": "a"}, {"vector_store_id": "b", "vector_store_name": "a"}],
                "[1].vector_store_name: 'a' is already declared at registered_resources.vector_stores[0]",
            ),
            (
                [{"vector_store_id": "a", "vector_store_name": "b"}, {"vector_store_id": "b"}],
                "[1].vector_store_id: 'b' is already declared at registered_resources.vector_stores[0]"
                ".vector_store_name",
            ),
        ],
    )
    def test_each_is_for_one_collection(self, entries: list[dict[str, Any]], expected: str) -> None:
        """Both places are named."""
        assert problems(stores(*entries)) == (f"registered_resources.vector_stores{expected}",)

    def test_that_of_the_entry_that_is_not_switched_off_counts(self) -> None:
        """Of two providers' entries for one collection, of which one is off. The other alias stays taken."""
        off = {"vector_store_id": "a", "vector_store_name": "x", "provider_id": "__disabled__"}
        on = {"vector_store_id": "a", "vector_store_name": "y"}

        for entries in ([off, on], [on, off]):
            assert parse(stores(*entries), {}).aliases == {"a": "y"}
            (problem,) = problems(stores(*entries, {"vector_store_id": "x"}))
            assert "'x' is already declared at" in problem
        assert parse(stores({"vector_store_id": "b"}, off), {}).aliases == {"a": "x"}


class TestDefaults:
    def test_those_of_the_file_are_noted(self) -> None:
        """As the server's own create by name takes them."""
        model = {"provider_id": "st", "model_id": "granite", "embedding_dimensions": "${env.D:=768}"}
        defaults = {"default_provider_id": "${env.P:=milvus}", "default_embedding_model": model}
        (found,) = parse(stores({"vector_store_id": "a"}, vector_stores=defaults), {}).collections

        assert (found.default_embedding_model, found.default_embedding_dimension) == ("st/granite", 768)
        assert found.default_provider_id == "milvus"

    def test_a_default_provider_may_expand_to_nothing(self) -> None:
        defaults = {"default_provider_id": "${env.P:=}"}

        assert parse(stores({"vector_store_id": "a"}, vector_stores=defaults), {}).collections == (Collection("a"),)

    @pytest.mark.parametrize(
        ("defaults", "expected"),
        [
            ({"default_provider_id": 1}, "default_provider_id: must be a string, not 1; quote it"),
            ({"default_provider_id": "${env.P}"}, "default_provider_id: the environment variable P is not set; "),
            (
                {"default_embedding_model": {"provider_id": "st", "model_id": "m", "embedding_dimensions": "many"}},
                "default_embedding_model.embedding_dimensions: must be a whole number above 0",
            ),
        ],
    )
    def test_a_wrong_one_is_a_problem_where_it_is_needed(self, defaults: dict[str, Any], expected: str) -> None:
        (problem,) = problems(stores({"vector_store_id": "a", "embedding_model": "m"}, vector_stores=defaults))
        assert problem.startswith(f"vector_stores.{expected}")

        full = {"vector_store_id": "a", "embedding_model": "m", "provider_id": "p", "embedding_dimension": 8}
        assert names(stores(full, vector_stores=defaults)) == ["a"]

    def test_a_list_in_their_place_has_none(self) -> None:
        """Which is a section in the wrong place."""
        config = parse(stores({"vector_store_id": "a"}, vector_stores=[{"vector_store_id": "b"}]), {})

        assert config.collections == (Collection("a"),)


class TestModels:
    def test_the_file_s_default_is_noted_for_whoever_names_none(self) -> None:
        """As the id that the server gives it."""
        default = {"default_embedding_model": {"provider_id": "st", "model_id": "x/granite"}}
        config = parse(stores({"vector_store_id": "a"}, vector_stores=default), {})

        assert config.collections == (Collection("a", default_embedding_model="st/x/granite"),)

    @pytest.mark.parametrize(
        ("default", "expected"),
        [
            ("granite", ": must be a mapping with provider_id and model_id, not 'granite'"),
            ({"provider_id": "st"}, ".model_id: is missing"),
            ({"provider_id": 1, "model_id": "x"}, ".provider_id: must be a string, not 1; quote it"),
        ],
    )
    def test_a_default_that_is_none_is_wrong_where_it_is_needed(self, default: Any, expected: str) -> None:
        fields = {"vector_stores": {"default_embedding_model": default}}

        assert problems(stores({"vector_store_id": "a"}, **fields)) == (
            f"vector_stores.default_embedding_model{expected}",
        )
        assert names(stores({"vector_store_id": "a", "embedding_model": "m"}, **fields)) == ["a"]


class TestEmpty:
    @pytest.mark.parametrize("text", ["vector_dbs: []", "vector_dbs:", "registered_resources: {vector_stores: []}"])
    def test_it_may_be_allowed(self, text: str) -> None:
        assert parse(text, {}, allow_empty=True) == Config(())

    def test_all_may_be_switched_off(self) -> None:
        """Then the report shows that."""
        text = "vector_dbs: [{vector_db_id: a, provider_id: __disabled__}]"

        found = parse(text, {}, allow_empty=True).findings(State.UNKNOWN)

        assert [finding.state for finding in found.values()] == [State.DISABLED]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            (
                "vector_dbs: [{vector_db_id: a, provider_id: '${env.P:+milvus}'}]",
                "all 1 declared collections are switched off by their provider_id (a): give the hook the server's "
                "variables too",
            ),
            (
                "vector_dbs: []\nvector_databases: [{vector_db_id: a}]",
                "vector_databases: LlamaStack does not read this list: move its entries to vector_dbs",
            ),
        ],
    )
    def test_what_may_be_a_mistake_is_not_empty(self, text: str, says: str) -> None:
        """A variable may be missing only in the hook's pod, and its addresses would be taken away."""
        for allow_empty in (True, False):
            (problem,) = problems(text, allow_empty=allow_empty)

            assert says in problem
            assert "--allow-empty" not in problem

    @pytest.mark.parametrize("text", ["server: {}", "vector_dbs: {}", ""])
    def test_no_section_and_no_list_are_wrong_all_the_same(self, text: str) -> None:
        assert problems(text, allow_empty=True)


class TestUnset:
    @pytest.mark.parametrize("key", ["vector_store_id", "embedding_model", "provider_id", "embedding_dimension"])
    def test_a_variable_that_only_the_server_has_may_be_told(self, key: str) -> None:
        """On a pull request nobody knows it; the collection counts, as it is written."""
        entry = {"vector_store_id": "a", "embedding_model": "m", key: "${env.NONE}"}
        config = parse(stores(entry), {}, allow_unset=True)

        assert [each.name for each in config.collections] == [entry["vector_store_id"]]
        assert config.collections[0].embedding_dimension is None
        assert config.warnings == {
            f"registered_resources.vector_stores[0].{key}": "the environment variable NONE is not set; set it, or "
            "write ${env.NONE:=DEFAULT}; every other command needs it"
        }

    @pytest.mark.parametrize("value", ["${env.lower}", "${env.NONE} ${x}", "${env.NONE:=${env.NONE}}"])
    def test_what_nobody_can_expand_is_wrong_all_the_same(self, value: str) -> None:
        (problem,) = problems(stores({"vector_store_id": value}), allow_unset=True)

        assert "LlamaStack does not expand" in problem
