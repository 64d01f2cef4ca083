"""Which part of a file declares: of manifests, of several documents, and of templates that nobody rendered."""

import pytest

from hook.config.file import Config
from tests.configuration import names, parse, problems, stores

ONE = "vector_dbs: [{vector_db_id: a, embedding_model: m}]"
HELM = "looks like a Helm template; render it first (helm template)"


class TestManifests:
    @pytest.mark.parametrize(
        "text",
        [
            "kind: List\nitems:\n- kind: Service\n- kind: ConfigMap\n  data: {run.yaml: 'ONE'}",
            "kind: ConfigMapList\nitems:\n- kind: ConfigMap\n  data: {run.yaml: 'ONE'}",
            "kind: Template\nobjects:\n- kind: ConfigMap\n  data: {run.yaml: 'ONE'}\n- text",
            "kind: List\nitems:\n- kind: List\n  items: [{kind: ConfigMap, data: {a: 'ONE'}}]",
            "kind: List\nitems: text\nONE",
            "kind: [List]\nONE",
            "~: [1]\nONE",
        ],
        ids=["list", "list-of-a-kind", "template", "within-a-list", "no-list", "kind-of-no-text", "key-of-no-text"],
    )
    def test_the_section_is_found_in_what_holds_manifests(self, text: str) -> None:
        assert names(text.replace("ONE", ONE)) == ["a"]

    def test_a_problem_within_them_has_its_whole_path(self) -> None:
        text = "kind: List\nitems:\n- kind: Service\n- kind: ConfigMap\n  data: {run.yaml: 'vector_dbs: [{}]'}"

        assert problems(text) == ("items[1].data[run.yaml].vector_dbs[0].vector_db_id: is missing",)

    def test_a_list_may_hold_two_that_declare_which_is_one_too_many(self) -> None:
        text = f"kind: List\nitems:\n- {{{ONE}}}\n- kind: ConfigMap\n  data: {{x: '{ONE}'}}"

        assert problems(text) == (
            "2 parts declare collections: items[0] of document 1 (line 1), document 1 (line 5) of data[x] of items[1] "
            "of document 1 (line 1); keep one of them",
        )

    def test_an_empty_list_holds_nothing(self) -> None:
        assert problems("kind: List\nitems: []") == (
            "is empty, or not a mapping; declare collections under vector_dbs or registered_resources.vector_stores",
        )

    @pytest.mark.parametrize(
        "text",
        [
            "kind: List\nitems: [{kind: List, items: &l [{ONE}]}, {kind: List, items: *l}]",
            "kind: List\nitems: [{kind: ConfigMap, data: &d {x: 'ONE'}}, {kind: ConfigMap, data: *d}]",
        ],
        ids=["list", "data"],
    )
    def test_what_aliases_repeat_counts_each_time(self, text: str) -> None:
        """The bound on the number of values keeps a few lines from becoming an endless number of documents."""
        (problem,) = problems(text.replace("ONE", ONE))

        assert problem.startswith("2 parts declare collections: ")

    def test_lists_within_lists_are_searched(self) -> None:
        """As deep as YAML may be nested."""
        lists = [f"l{n}: &l{n} {{kind: List, items: [{f'*l{n - 1}' if n else f'{{{ONE}}}'}]}}" for n in range(20)]

        assert names("\n".join([*lists, "kind: List", "items: [*l19]"])) == ["a"]

    def test_problems_that_many_documents_share_are_told_once(self) -> None:
        text = "kind: ConfigMap\ndata:\n  a.yaml: 'vector_dbs: ['\n  b: |\n    --- {apis: 1}\n    --- {apis: 1}\n"

        (shared,) = problems(text)

        assert shared.startswith("data[a.yaml]: not valid YAML")


class TestDuplicateKeys:
    def test_in_another_document_it_is_somebody_else_s(self) -> None:
        text = f"metadata: {{a: 1, a: 2}}\n---\n{ONE}"

        assert names(text) == ["a"]

    def test_in_another_value_of_the_configmap_too(self) -> None:
        text = f"kind: ConfigMap\ndata:\n  other.yaml: 'a: {{b: 1, b: 2}}'\n  run.yaml: '{ONE}'"

        assert names(text) == ["a"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (f"a: 1\na: 2\n{ONE}", "not valid YAML: duplicate key 'a'"),
            (
                f"kind: ConfigMap\nkind: ConfigMap\ndata:\n  a: '{ONE}'",
                "not valid YAML: duplicate key 'kind'",
            ),
            (
                f"kind: ConfigMap\ndata:\n  a: '{{{ONE}, b: 1, b: 2}}'",
                "data[a]: not valid YAML: duplicate key 'b'",
            ),
        ],
        ids=["document", "manifest", "value"],
    )
    def test_where_the_collections_are_declared_it_is_wrong(self, text: str, expected: str) -> None:
        assert problems(text) == (expected,)

    def test_it_may_be_why_nothing_is_declared(self) -> None:
        text = "registered_resources: {vector_stores: []}\nregistered_resources: {}"

        assert problems(text) == ("not valid YAML: duplicate key 'registered_resources'",)


class TestSeveralThatDeclare:
    def test_the_only_one_with_entries_is_meant(self) -> None:
        """A server's own configuration often has the section, and nothing in it."""
        text = f"registered_resources: {{vector_stores: []}}\n---\nvector_dbs:\n---\n{ONE}"

        assert names(text) == ["a"]

    def test_two_with_entries_are_one_too_many(self) -> None:
        (problem,) = problems(f"{ONE}\n---\nvector_dbs: []\n---\n{ONE}")

        assert problem == ("2 parts declare collections: document 1 (line 1), document 3 (line 5); keep one of them")

    def test_a_list_of_vector_stores_at_the_top_is_a_warning(self) -> None:
        """It is no section, and what LlamaStack keeps there is a mapping."""
        config = parse(stores({"vector_store_id": "a"}, vector_stores=[{"vector_store_id": "b"}]), {})

        assert [each.name for each in config.collections] == ["a"]
        assert config.warnings == {
            "vector_stores": "LlamaStack does not read this list: move its entries to "
            "registered_resources.vector_stores"
        }

    KEYS = f"kind: ConfigMap\ndata: {{a: '{ONE}', b: 'vector_dbs: [{{vector_db_id: b}}]'}}"

    def test_keys_of_one_configmap_are_a_choice(self) -> None:
        assert problems(self.KEYS) == (
            "2 keys declare collections; choose one with --config-key or HOOK_CONFIG_KEY: a or b",
        )

    @pytest.mark.parametrize("key", ["a", "b"])
    def test_a_key_may_be_chosen(self, key: str) -> None:
        assert names(self.KEYS, key=key) == [key]

    def test_two_that_are_empty_are_as_good_as_one(self) -> None:
        assert parse("vector_dbs: []\n---\nvector_dbs: []", {}, allow_empty=True) == Config(())


class TestValuesThatCannotBeRead:
    BROKEN = "kind: ConfigMap\ndata:\n  alerts.yaml: '{% if x %} vector_dbs: '"

    def test_in_another_configmap_they_are_somebody_else_s(self) -> None:
        """A rendered chart may hold templates of other programs."""
        assert names(f"{self.BROKEN}\n---\nkind: ConfigMap\ndata:\n  run.yaml: '{ONE}'") == ["a"]

    def test_they_may_be_why_nothing_is_declared(self) -> None:
        (problem,) = problems(f"{self.BROKEN}\n---\nkind: Service")

        assert problem.startswith("data[alerts.yaml]: not valid YAML: ")

    @pytest.mark.parametrize("other", ["", f"\n---\n{ONE}"])
    def test_a_mapping_in_place_of_a_text_is_a_problem(self, other: str) -> None:
        """Kubernetes refuses such a ConfigMap, also where something else declares."""
        text = f"kind: ConfigMap\ndata:\n  a.txt: [x]\n  run.yaml:\n    {ONE}{other}"

        assert problems(text) == ("data[run.yaml]: must be text; write `|` after the key",)


class TestOpenShiftTemplates:
    @pytest.mark.parametrize(
        ("entry", "says"),
        [
            (
                "{vector_db_id: '${ID}'}",
                "; for a parameter of an OpenShift Template, process it first",
            ),
            ("{vector_db_id: a, provider_id: '${{ID}}'}", "looks like an OpenShift Template; process it first"),
        ],
    )
    def test_a_parameter_is_told_as_one(self, entry: str, says: str) -> None:
        (problem,) = problems(f"kind: Template\nobjects: [{{vector_dbs: [{entry}]}}]")

        assert says in problem
        assert problem.endswith("(oc process --local)")
        assert "Helm" not in problem


class TestHelm:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "{{- if .Values.x }}\nvector_dbs: []\n{{- end }}",
                "not valid YAML: did not find expected node content; it ",
            ),
            (
                "vector_dbs:\n- vector_db_id: {{ .Values.id }}",
                "not valid YAML: found unhashable key; it ",
            ),
            (
                "kind: ConfigMap\ndata:\n  run.yaml: |\n    vector_dbs:\n    {{ toYaml .x }}",
                "data[run.yaml]: not valid YAML: could not find expected ':'; it ",
            ),
            ("vector_dbs: [{vector_db_id: '{{ .x }}'}]", "vector_dbs[0].vector_db_id: '{{ .x }}' "),
            (
                "vector_dbs: [{vector_db_id: a, embedding_dimension: '{{ .x }}'}]",
                "vector_dbs[0].embedding_dimension: '{{ .x }}' ",
            ),
            ("vector_dbs: '{{ toYaml .x }}'", "vector_dbs: must be a list of collections, not '{{ toYaml .x }}'; it "),
        ],
    )  # fmt: skip
    def test_a_template_is_told_as_one(self, text: str, expected: str) -> None:
        """What the parser says of it alone helps nobody; but a prompt has braces, too."""
        assert problems(text) == (f"{expected}{HELM}",)

    def test_braces_in_metadata_do_not_matter(self) -> None:
        """Nobody expands them, and LlamaStack ignores them."""
        metadata = {"prompt": "{{ x }} ${env.A:=1}"}
        entry = {"vector_store_id": "a", "embedding_model": "m", "metadata": metadata}

        (found,) = parse(stores(entry), {}).collections

        assert found.metadata == metadata

    def test_braces_elsewhere_do_not_matter(self) -> None:
        assert names(f"prompt: 'Dear {{{{ name }}}}'\n{ONE}") == ["a"]
