"""What people write in place of a section: one step leads from there to the right form."""

import json
import re
from typing import Any

import pytest

from hook.config.file import Config
from tests import configuration
from tests.configuration import parse

NOT_READ = "LlamaStack does not read this list: "
OLDER = {"vector_db_id": "a", "embedding_model": "m", "provider_vector_db_id": "a"}
NEWER = {"vector_store_id": "a", "embedding_model": "m", "provider_vector_store_id": "a"}


def problems(document: Any, **rules: Any) -> tuple[str, ...]:
    return configuration.problems(document if isinstance(document, str) else json.dumps(document), **rules)


@pytest.mark.parametrize(
    ("document", "path", "advice"),
    [
        ({"vector_databases": [OLDER]}, "vector_databases", "rename it to vector_dbs"),
        (
            {"vector_databases": [NEWER]},
            "vector_databases",
            "move it to registered_resources.vector_stores",
        ),
        (
            {"vector_databases": [OLDER], "registered_resources": {"vector_stores": []}},
            "vector_databases",
            "move its entries to registered_resources.vector_stores; in its entries rename vector_db_id to "
            "vector_store_id, provider_vector_db_id to provider_vector_store_id",
        ),
        (
            {"registered_resources": {"vector_dbs": [{"vector_db_id": "a"}]}},
            "registered_resources.vector_dbs",
            "rename it to vector_stores; in its entries rename vector_db_id to vector_store_id",
        ),
        (
            {"registered_resources": {"vector_databases": [NEWER]}},
            "registered_resources.vector_databases",
            "rename it to vector_stores",
        ),
        (
            {"registered_resources": {"vector_dbs": [{"identifier": "a", "embeding_model": "m"}]}},
            "registered_resources.vector_dbs",
            "rename it to vector_stores; in its entries rename identifier to vector_store_id, embeding_model to "
            "embedding_model",
        ),
        ({"vectorDbs": [OLDER]}, "vectorDbs", "rename it to vector_dbs"),
        ({"vector_db": [OLDER]}, "vector_db", "rename it to vector_dbs"),
        ({"vector-stores": [NEWER]}, "vector-stores", "move it to registered_resources.vector_stores"),
        (
            {"registered_resources": {"vector_store": [NEWER]}},
            "registered_resources.vector_store",
            "rename it to vector_stores",
        ),
        ({"vector_stores": [NEWER]}, "vector_stores", "move it to registered_resources.vector_stores"),
        (
            {"vector_stores": [{"name": "a", "id": "b"}]},
            "vector_stores",
            "move it to registered_resources.vector_stores; in its entries rename id to vector_store_id",
        ),
        (
            {"vector_databases": ["handbook"]},
            "vector_databases",
            "rename it to vector_dbs; give each entry a vector_db_id",
        ),
        (
            {"vector_databases": [{"embedding_model": "m", "owner": "hr"}]},
            "vector_databases",
            "rename it to vector_dbs; give each entry a vector_db_id",
        ),
    ],
)
def test_the_whole_change_is_said_at_once(document: Any, path: str, advice: str) -> None:
    """The keys of the entries included."""
    for allow_empty in (False, True):
        assert problems(document, allow_empty=allow_empty) == (f"{path}: {NOT_READ}{advice}",)


def test_no_two_keys_become_one() -> None:
    """Which would be a duplicate key."""
    (problem,) = problems({"registered_resources": {"vector_dbs": [{"vector_db_id": "a", "vector_database_id": "b"}]}})

    assert problem.endswith(
        "rename vector_db_id to vector_store_id; remove vector_database_id where vector_store_id is there"
    )


def test_each_entry_may_have_a_key_of_its_own() -> None:
    entries = [{"vector_db_id": "a"}, {"name": "b", "id": "c"}]
    (problem,) = problems({"registered_resources": {"vector_dbs": entries}})

    assert problem.endswith("in its entries rename vector_db_id to vector_store_id, id to vector_store_id")


def test_a_key_cannot_forge_a_line() -> None:
    """It is a part of the place, and can hold any character."""
    (problem,) = problems({"vector_dbs\x1b[2J": [{"vector_db_id": "a"}]})

    assert problem.startswith("vector_dbs\\x1b[2J: LlamaStack does not read this list")


def test_a_key_that_is_no_text_needs_no_advice() -> None:
    (problem,) = problems("vector_databases: [{1: 2, vector_db_id: a}]")

    assert problem == f"vector_databases: {NOT_READ}rename it to vector_dbs"


@pytest.mark.parametrize("document", [{"vector_databases": [OLDER]}, {"registered_resources": {"vector_dbs": [OLDER]}}])
def test_what_follows_the_advice_is_right(document: Any) -> None:
    """Every word of it is done, and nothing else."""
    text = json.dumps(document)
    (problem,) = problems(text)
    path, _, advice = problem.partition(": ")
    steps = advice.partition(": ")[2].replace("rename it", f"rename {path.split('.')[-1]}")
    for old, new in re.findall(r"(\w+) to (\w+)", steps):
        text = text.replace(f'"{old}"', f'"{new}"')

    found = parse(text, {})

    assert [each.name for each in found.collections] == ["a"]
    assert found.warnings == {}


class TestBesideASection:
    def test_what_is_declared_already_is_deleted(self) -> None:
        """Renamed, it would be the same key twice; moved, the same name twice."""
        found = parse(json.dumps({"vector_databases": [OLDER], "vector_dbs": [OLDER]}), {})

        assert found.warnings == {"vector_databases": f"{NOT_READ}delete it, since vector_dbs declares its collections"}

    def test_an_entry_of_another_key_is_the_same_one(self) -> None:
        """After the change it would be declared twice."""
        found = parse(json.dumps({"vector_dbs": [OLDER], "vector_databases": [{"name": "a"}, {"name": "b"}, "c"]}), {})

        assert found.warnings == {
            "vector_databases": f"{NOT_READ}move its entries to vector_dbs; in its entries rename name to "
            "vector_db_id; give each entry a vector_db_id; leave out a, declared in vector_dbs already"
        }

    def test_the_rest_is_moved(self) -> None:
        other = {"vector_store_id": "b", "embedding_model": "m"}
        resources = {"vector_dbs": [OLDER, {"vector_db_id": "c"}], "vector_stores": [NEWER, other]}
        found = parse(json.dumps({"registered_resources": resources}), {})

        assert found.warnings == {
            "registered_resources.vector_dbs": f"{NOT_READ}move its entries to registered_resources.vector_stores; "
            "in its entries rename vector_db_id to vector_store_id, provider_vector_db_id to provider_vector_store_id; "
            "leave out a, declared in registered_resources.vector_stores already"
        }


def test_each_document_beside_the_one_that_declares_is_warned_of() -> None:
    """With its own place in the file."""
    documents = (
        "vector_dbs: [{vector_db_id: a}]",
        "vector_databases: [{vector_db_id: b}]",
        "registered_resources: {vector_dbs: [{vector_store_id: c}]}",
    )

    found = parse("\n---\n".join(documents), {}, name="f")

    assert found.names == ("a",)
    assert found.warnings == {
        "f:3:1: vector_databases": f"{NOT_READ}rename it to vector_dbs",
        "f:5:24: registered_resources.vector_dbs": f"{NOT_READ}rename it to vector_stores",
    }


class TestFirst:
    KEYS = "".join(f"    a_key_of_the_server_{number}: {{}}\n" for number in range(60))

    def test_it_comes_first_and_whole(self) -> None:
        """However many other keys there are."""
        text = (
            f"kind: ConfigMap\ndata:\n  c.yaml: |\n{self.KEYS}    registered_resources:\n      vector_dbs: [{{x: y}}]"
        )

        assert problems(text) == (
            f"data[c.yaml].registered_resources.vector_dbs: {NOT_READ}rename it to vector_stores; give each entry "
            "a vector_store_id",
        )


class TestEmpty:
    @pytest.mark.parametrize(
        "text",
        [
            "registered_resources: {models: [], vector_dbs: []}",
            "registered_resources: {vector_dbs: }",
            "vector_databases: []",
            "version: 2\napis: [inference]",
            "providers: {vector_io: []}",
            "kind: ConfigMap\ndata: {run.yaml: 'apis: []'}",
            "kind: ConfigMap\ndata: {run.yaml: 'providers: {}', x: '{{', y.yaml: 'apis: ['}",
        ],
    )
    def test_a_server_s_own_file_counts_as_empty(self, text: str) -> None:
        (problem,) = problems(text)

        assert "no collection is declared: " in problem
        assert "--allow-empty" in problem
        assert parse(text, {}, allow_empty=True) == Config(())

    @pytest.mark.parametrize("text", ["server: {}", "providers: []", "kind: ConfigMap\ndata: {a: 'x: 1'}", "[]"])
    def test_any_other_file_does_not(self, text: str) -> None:
        assert problems(text, allow_empty=True)

    def test_a_broken_value_that_could_declare_does_not(self) -> None:
        text = "kind: ConfigMap\ndata: {a.yaml: 'vector_dbs: ['}\n---\napis: []"

        assert problems(text, allow_empty=True)[0].startswith("data[a.yaml]: not valid YAML")


class TestChartValues:
    def test_our_own_is_told_as_that(self) -> None:
        text = "name: x\ncollections:\n- vector_db_id: a\nexistingConfigMap: {name: ''}"

        (first,) = problems(text)

        assert first.startswith("collections: is a value of the chart, and no section of LlamaStack; check what the")
        assert "helm template CHART --values FILE | register-collections validate --config -" in first

    def test_one_without_a_section_is_told_by_its_values(self) -> None:
        (problem,) = problems("image: {repository: x}\nreplicaCount: 1\nenv: {}")

        assert problem.startswith("looks like a chart's values file; check what the chart renders: helm template ")

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("stack: {config: {vector_dbs: [{vector_db_id: a}]}}", "stack.config.vector_dbs"),
            ("stack:\n  files:\n  - |\n    vector_dbs: []", "stack.files[0]"),
            (
                "runConfig:\n  registered_resources: {vector_stores: [a]}",
                "runConfig.registered_resources.vector_stores",
            ),
        ],
    )
    def test_somebody_else_s_is_too(self, text: str, path: str) -> None:
        """By the section that stands deeper in it."""
        assert problems(text)[0].startswith(
            f"{path}: is too deep: vector_dbs or registered_resources.vector_stores has"
        )
