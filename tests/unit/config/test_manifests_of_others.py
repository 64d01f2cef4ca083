"""Manifests that hold a configuration, and much else: what cannot declare anything is passed over."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from hook.app import main
from hook.config.file import Config
from hook.errors import ConfigError
from tests.configuration import names, parse, problems

ONE = "vector_dbs: [{vector_db_id: a, embedding_model: m}]"


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


class TestPassedOver:
    def test_a_script_is_not_blamed_where_nothing_is_declared(self) -> None:
        text = "kind: ConfigMap\nmetadata: {name: x}\ndata:\n  tool.py: |\n    def main():\n        x = {'a': 1}: 2\n"

        assert problems(text) == (
            "no key of ConfigMap 'x' declares vector_dbs or registered_resources.vector_stores (keys: tool.py)",
        )

    @pytest.mark.parametrize("value", ["{% if x %}", "a: {b: 1, b: 2}", "[", "\\t- x"])
    def test_a_yaml_file_that_names_no_section_is_not_either(self, value: str) -> None:
        text = f'kind: ConfigMap\ndata:\n  alerts.yaml: "{value}"\n  run.yaml: "{ONE}"'

        assert names(text) == ["a"]

    @pytest.mark.parametrize("other", ["a: [", "{{ template }}: x", "a: !Ref b", "\ta: b", "a: &x [*x]", "- " * 200])
    def test_a_document_that_is_no_yaml_is_passed_over(self, other: str) -> None:
        assert names(f"{ONE}\n---\n{other}\n") == ["a"]
        assert names(f"{other}\n--- # here\n{ONE}") == ["a"]

    def test_a_document_that_is_no_mapping_is_passed_over(self) -> None:
        assert names(f"- vector_dbs:\n---\nkind: ConfigMap\ndata:\n  x: |\n    - vector_dbs:\n    ---\n    {ONE}") == [
            "a"
        ]

    def test_the_line_counts_what_was_passed_over(self) -> None:
        with pytest.raises(ConfigError) as caught:
            parse("a: [\n---\nvector_dbs:\n- 7", {}, name="f")

        assert caught.value.problems == ("f:4:3: vector_dbs[0]: must be a mapping, not 7",)

    @pytest.mark.parametrize("other", ["vector_dbs: [", "kind: Secret\ndata: [", '{"kind": "Secret", "data": ['])
    def test_one_that_could_declare_is_not_passed_over(self, other: str) -> None:
        assert "not valid YAML" in problems(f"{ONE}\n---\n{other}\n")[0]

    def test_why_nothing_could_be_read_is_told(self) -> None:
        first, second = problems("a: [\n---\nb: 1")

        assert first.startswith("no key declares ")
        assert second.startswith("not valid YAML: ")

    def test_a_file_of_thousands_of_documents_has_to_be_right(self) -> None:
        """Each would be tried by itself."""
        assert problems("--- 1\n" * 1001 + "--- [\n")[0].startswith("not valid YAML")

    def test_a_duplicate_key_beside_it_in_a_list_is_somebody_else_s(self) -> None:
        items = f"- {{kind: Service, a: 1, a: 2}}\n- kind: ConfigMap\n  data: {{run.yaml: '{ONE}'}}"

        assert names(f"kind: List\nitems:\n{items}") == ["a"]

    def test_one_in_the_same_item_is_not(self) -> None:
        items = f"- kind: ConfigMap\n  data: {{run.yaml: '{ONE}'}}\n  data: {{run.yaml: '{ONE}'}}"

        assert problems(f"kind: List\nitems:\n{items}") == ("not valid YAML: duplicate key 'data'",)

    def test_one_where_nothing_is_declared_is_passed_over(self) -> None:
        assert problems("a: 1\na: 2")[0].startswith("no key declares ")


OWN = """
providers: {vector_io: [{provider_id: db}], inference: []}
registered_resources:
  models: [{model_id: %s, provider_id: st}]
  vector_stores: [{vector_store_id: a, embedding_model: st/hunter2, embedding_dimension: 8, provider_id: %s}]
"""
"""A server's own file, which does not have the model or registers it as an llm, and may lack the provider."""


class TestSecrets:
    @pytest.mark.parametrize(
        "fields",
        [
            f"stringData: {{run.yaml: '{ONE}'}}",
            f"data: {{run.yaml: {encoded(ONE)}}}",
            f"data:\n  run.yaml: |\n    {encoded(ONE)[:20]}\n    {encoded(ONE)[20:]}",
            f"data: {{run.yaml: {encoded('vector_dbs: [{vector_db_id: b}]')}}}\nstringData: {{run.yaml: '{ONE}'}}",
        ],
        ids=["text", "base64", "base64-in-lines", "text-before-base64"],
    )
    def test_it_is_read_as_a_configmap_is(self, fields: str) -> None:
        assert names(f"kind: Secret\nmetadata: {{name: x}}\n{fields}") == ["a"]

    def test_a_configmap_s_own_base64_is_read(self) -> None:
        assert names(f"kind: ConfigMap\nbinaryData: {{run.yaml: {encoded(ONE)}}}") == ["a"]

    def test_an_empty_one_declares_nothing(self) -> None:
        assert problems("kind: Secret\ndata: {a: '', b: AAAA, c: /w==}") == (
            "no key of the Secret declares vector_dbs or registered_resources.vector_stores (keys: a, b, c)",
        )

    def test_plain_text_in_the_place_of_base64_is_told(self) -> None:
        assert problems(f"kind: Secret\ndata: {{run.yaml: '{ONE}'}}") == (
            "data[run.yaml]: is not base64; put plain text under stringData",
        )

    @pytest.mark.parametrize(
        "text",
        [
            "vector_dbs: [{vector_db_id: a, embedding_dimension: hunter2}]",
            "vector_dbs: [{vector_db_id: a, embedding_dimension: '''hunter2'}]",
            "vector_dbs: [{vector_db_id: a, embedding_dimension: 0x4711}]",
            "vector_dbs: hunter2",
            "vector_dbs: [{vector_db_id: '{{ hunter2 }}'}]",
            "vector_dbs: [{vector_db_id: '${hunter2}'}]",
            "vector_dbs: [hunter2]",
            "vector_dbs: [*hunter2]",
            "vector_dbs: [!hunter2 x]",
            "vector_dbs: [{vector_db_id: hunter2}, {vector_db_id: hunter2}]",
            OWN % ("m", "hunter2"),
            OWN % ("hunter2", "db"),
        ],
    )
    @pytest.mark.parametrize("form", ["text", "json"])
    def test_no_output_repeats_its_values(
        self, text: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "secret.yaml"
        path.write_text(json.dumps({"kind": "Secret", "stringData": {"run.yaml": text, "password": "hunter2: ["}}))

        assert main(["validate", "--config", str(path), "--output", form], {}) == 2
        captured = capsys.readouterr()
        assert "stringData[run.yaml]" in captured.out
        for value in ("hunter2", "4711"):
            assert value not in captured.out.replace(str(tmp_path), "")
            assert value not in captured.err.replace(str(tmp_path), "")

    @pytest.mark.parametrize("value", ["!hunter2 x", "*hunter2", "!!bool hunter2", "!!float 'hunter2'", "2026-02-30"])
    @pytest.mark.parametrize("kind", ["kind: Secret", '"kind": "Secret"', "'kind' : 'Secret'"])
    def test_nor_does_one_of_its_manifest(self, kind: str, value: str) -> None:
        (problem,) = problems(f"{{{kind}, stringData: {{password: {value}}}}}")

        assert problem.startswith("not valid YAML: ")
        assert "hunter2" not in problem

    def test_what_switches_an_entry_off_is_not_repeated_either(self) -> None:
        settings = ("'${env.HUNTER2:+x}'", "__disabled__", "x")
        entries = [
            f"{{vector_db_id: {name}, provider_id: {value}}}" for name, value in zip("abc", settings, strict=True)
        ]
        text = json.dumps({"kind": "Secret", "stringData": {"run.yaml": f"vector_dbs: [{', '.join(entries)}]"}})

        assert parse(text, {}).disabled == {"a": "provider_id ***", "b": "provider_id __disabled__"}


class TestConfigKey:
    TEXT = f"kind: ConfigMap\nmetadata: {{name: x}}\ndata: {{a: '{ONE}', b: 'vector_dbs: [{{vector_db_id: b}}]'}}"

    def test_one_that_nobody_has_is_told(self) -> None:
        assert problems(self.TEXT, key="c") == (
            "--config-key is 'c', but another key declares collections (keys: a, b); choose that one, or "
            "rename it to 'c'",
        )

    def test_one_of_a_configmap_without_any_is_told(self) -> None:
        assert problems("kind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}", key="c") == (
            "--config-key is 'c'; no key of ConfigMap 'x' declares vector_dbs or registered_resources.vector_stores "
            "(keys: a)",
        )

    def test_it_does_not_matter_to_a_plain_file(self) -> None:
        assert parse(ONE, {}, key="c").names == ("a",)

    def test_it_holds_for_a_secret_too(self) -> None:
        assert parse(
            self.TEXT.replace("ConfigMap\n", "Secret\n").replace("data:", "stringData:"), {}, key="b"
        ).names == ("b",)

    def test_other_keys_may_be_broken(self) -> None:
        text = f"kind: ConfigMap\ndata: {{a.yaml: 'vector_dbs: [', b.yaml: '{ONE}'}}"

        assert parse(text, {}, key="b.yaml") != Config(())


def test_a_generated_configmap_of_the_operator_is_found() -> None:
    """Its key is config.yaml, whatever its name is."""
    text = f"kind: ConfigMap\nmetadata: {{name: ogx-config-4f7c}}\nimmutable: true\ndata: {{config.yaml: '{ONE}'}}"

    assert names(text) == ["a"]
