"""Each problem says file, line and column, as editors and CI mark them."""

import json
from base64 import b64encode

import pytest

from hook.errors import ConfigError
from tests.configuration import parse

MANIFEST = """\
apiVersion: v1
kind: ConfigMap
data:
  notes.txt: plain
  run.yaml: STYLE
    # é, a comment

    vector_dbs:
    - vector_db_id: a
      embedding_dimension: many
      embeding_model: m
"""


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, {}, name="f.yaml")
    return tuple(caught.value.problems)


def places(text: str) -> list[str]:
    """Return line, column and path of each problem, or what is wrong without a path."""
    assert all(problem.startswith("f.yaml:") for problem in problems(text))
    return [": ".join(problem.removeprefix("f.yaml:").split(": ")[:2]) for problem in problems(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vector_dbs:\n- vector_db_id: 1\n", "2:3: vector_dbs[0].vector_db_id"),
        ("vector_dbs:\n- embedding_model: m\n", "2:3: vector_dbs[0].vector_db_id"),
        ("# é\nvector_dbs: [é, {vector_db_id: a}]", "2:14: vector_dbs[0]"),
        ("---\nx: 1\n---\nvector_dbs: text", "4:1: vector_dbs"),
        ("c: &c\n  embedding_model: 7\nvector_dbs:\n- <<: *c\n  vector_db_id: a", "2:3: vector_dbs[0].embedding_model"),
        (
            "c: &c {embedding_model: 7}\nvector_dbs:\n- <<: [*c]\n  vector_db_id: a\n  embedding_model: 8",
            "5:3: vector_dbs[0].embedding_model",
        ),
        (
            "registered_resources:\n  vector_stores:\n  - vector_store_id: a\n    metdata: {}",
            "4:5: registered_resources.vector_stores[0].metdata",
        ),
        ("kind: List\nitems:\n- x: 1\n- vector_dbs: [{}]", "4:16: items[1].vector_dbs[0].vector_db_id"),
        ("registered_resources:\n  vector_dbs:\n  - x: 1", "2:3: registered_resources.vector_dbs"),
        ("server: {}\nvector_dbs: []", "2:1: vector_dbs"),
        ("apis: []", "1:1: registered_resources.vector_stores"),
        ("a:\n\tvector_dbs: []", "2:1: a tab; YAML indents with spaces"),
        ("a: 1\nvector_dbs: [", "3:1: not valid YAML"),
        ("a:\n  b: 1\n  b: 2\nvector_dbs: [{vector_db_id: a}]", "3:3: not valid YAML"),
        ("vector_dbs:\n- vector_db_id: !!bool maybe", "1:1: not valid YAML"),
        ("values: {}", "1:1: no key declares vector_dbs or registered_resources.vector_stores (keys"),
    ],
)
def test_the_wrong_key_itself_is_marked(text: str, expected: str) -> None:
    """Where it is missing, that is what lacks it."""
    assert places(text)[0] == expected


def test_a_block_of_a_configmap_has_the_lines_of_the_file() -> None:
    text = MANIFEST.replace("STYLE", "|")

    assert (
        places(text)
        == [
            "10:7: data[run.yaml].vector_dbs[0].embedding_dimension",
            "11:7: data[run.yaml].vector_dbs[0].embeding_model",
        ][::-1]
    )


@pytest.mark.parametrize("style", ["|", "|-", "|4", "|+2"])
def test_any_header_of_a_block_will_do(style: str) -> None:
    """A block may say how far it is indented, and what stands before its first line is its own."""
    text = MANIFEST.replace("STYLE", style.replace("4", "2"))

    assert places(text)[0] == "11:7: data[run.yaml].vector_dbs[0].embeding_model"


@pytest.mark.parametrize("style", [">", '"', "json"])
def test_in_another_style_the_whole_value_is_marked(style: str) -> None:
    """Its lines are not those of the file."""
    text = "kind: ConfigMap\ndata:\n  run.yaml: >\n    vector_dbs: [7]\n"
    if style == '"':
        text = 'kind: ConfigMap\ndata:\n  run.yaml: "vector_dbs:\\n- 7"\n'
    if style == "json":
        text = json.dumps({"kind": "ConfigMap", "data": {"run.yaml": "vector_dbs:\n- 7"}})

    (place,) = places(text)

    assert place.endswith(": data[run.yaml].vector_dbs[0]")
    assert place.startswith(f"1:{text.index(chr(34) + 'vector_dbs') + 1}:" if style == "json" else "3:13:")


def test_a_text_in_base64_is_marked_as_a_whole() -> None:
    encoded = b64encode(b"x: 1\nvector_dbs: [7]").decode()

    assert places(f"kind: Secret\ndata:\n  run.yaml: |\n    {encoded}\n") == ["3:13: data[run.yaml].vector_dbs[0]"]


def test_yaml_that_is_wrong_in_a_block_is_marked_there() -> None:
    text = "kind: ConfigMap\ndata:\n  run.yaml: |\n    vector_dbs:\n    - {a: ]}\n    - b\n"

    assert places(text) == ["5:11: data[run.yaml]"]


def test_what_ends_too_early_in_a_block_is_marked_at_its_end() -> None:
    """What follows in the file is no part of it."""
    text = "kind: ConfigMap\ndata:\n  run.yaml: |\n    vector_dbs: [\n  other: x\n"

    assert places(text) == ["4:18: data[run.yaml]"]


def test_a_value_that_is_merged_is_marked_where_it_is_written() -> None:
    text = "kind: ConfigMap\nx: &x {run.yaml: 'vector_dbs: [7]'}\ndata:\n  <<: *x\n"

    assert places(text) == ["2:18: data[run.yaml].vector_dbs[0]"]


def test_a_key_that_is_no_text_is_marked_with_its_manifest() -> None:
    assert places("kind: ConfigMap\ndata:\n  yes: 'vector_dbs: [7]'\n") == ["1:1: data[True].vector_dbs[0]"]


def test_a_warning_has_its_place_too() -> None:
    found = parse("vector_dbs:\n- vector_db_id: a\n  owner: hr\n", {}, name="f.yaml").warnings

    assert list(found) == ["f.yaml:3:3: vector_dbs[0].owner"]


def test_no_document_is_on_a_line_that_the_file_lacks() -> None:
    encoded = b64encode(b"vector_dbs: [{vector_db_id: a}]\n---\nvector_dbs: [{vector_db_id: b}]\n").decode()

    (problem,) = problems(f"kind: Secret\ndata:\n  run.yaml: {encoded}\n")

    assert "document 2 (line 3) of data[run.yaml]" in problem
