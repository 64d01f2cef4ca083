"""Small files that stand for more than any memory holds: each is a problem before anything is made of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hook.errors import MAX_PROBLEMS
from tests.configuration import parse, problems

REPOSITORY = Path(__file__).parents[3]
MEMORY, SECONDS = 512 << 20, 5
"""More than a run takes to start, and far less than a bomb needs."""
LAUGHS = "\n".join(["l0: &l0 [lol]", *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30))])
MANY = "more than 50,000 values, with each alias expanded"


def section(entry: str) -> str:
    """Return a section of the newer name with one entry."""
    return f"registered_resources: {{vector_stores: [{entry}]}}"


def test_a_billion_laughs_are_refused_within_bounds(tmp_path: Path) -> None:
    """By a process of its own, which ends where it takes more time or memory than a file of its size may."""
    path = tmp_path / "stores.yaml"
    path.write_text(f"{LAUGHS}\n{section('{vector_store_id: a, metadata: {x: *l29}}')}")
    limits = f"resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))"
    limits += f"; resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))"
    program = f"import resource; {limits}; from hook.__main__ import main; main()"

    process = subprocess.run(
        [sys.executable, "-c", program, "validate", "--config", str(path), "--output", "json"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode == 2, process.stderr[-1000:]
    assert MANY in json.loads(process.stdout)["message"]


@pytest.mark.parametrize(
    "text",
    [
        "vector_dbs: *l29",
        "vector_dbs: [*l29]",
        "vector_dbs: !!pairs [a: *l29]",
        "vector_dbs: [{vector_db_id: *l29}]",
        "vector_dbs: [{vector_db_id: a, provider_id: *l29}]",
        "vector_dbs: [{vector_db_id: a, embedding_dimension: *l29}]",
        "vector_dbs: [{vector_db_id: a}]\nvector_stores: {default_embedding_model: *l29}",
        "vector_dbs: [{vector_db_id: a}]",
        section("{vector_store_id: a, metadata: *l29}"),
        section("{vector_store_id: a, metadata: !!omap [x: *l29]}"),
    ],
)
def test_a_billion_laughs_are_refused_anywhere(text: str) -> None:
    assert MANY in problems(f"{LAUGHS}\n{text}")[0]


@pytest.mark.parametrize("key", ["vector_db_id", "provider_id", "embedding_model", "embedding_dimension", "metadata"])
def test_a_long_text_that_aliases_repeat_is_refused(key: str) -> None:
    """As many values as it has hundreds of characters."""
    long = "x" * 500_000

    assert MANY in problems(f"a: &a {long}\nvector_dbs: [{f'{{{key}: *a}}, ' * 3000}]")[0]


def test_the_values_of_a_configmap_count_together() -> None:
    """Each is read as YAML of its own, and its text is a value as well."""
    text = "kind: ConfigMap\ndata:\n" + "".join(f"  k{n}.yaml: 'vector_dbs: [{'[],' * 30_000}]'\n" for n in range(2))

    assert problems(text) == (f"data[k1.yaml]: not valid YAML: {MANY}",)


def test_aliases_that_nest_are_as_deep_as_what_they_stand_for() -> None:
    lists = [f"l{n}: &l{n} [{f'*l{n - 1}' if n else ''}]" for n in range(200)]

    assert problems("\n".join(lists)) == ("not valid YAML: nested deeper than 100",)


@pytest.mark.parametrize("text", ["&a [*a]", "&a {x: {y: *a}}", "vector_dbs: [&x {vector_db_id: x, metadata: [*x]}]"])
def test_what_stands_in_itself_is_refused(text: str) -> None:
    assert problems(text)[0].endswith("not valid YAML: an alias of what contains it")


def test_aliases_may_repeat_what_is_small() -> None:
    """As people write it."""
    text = "c: &c {provider_id: milvus, embedding_model: m}\nvector_dbs:\n"
    found = parse(text + "".join(f"- {{vector_db_id: a{n}, <<: *c}}\n" for n in range(1000)), {}).collections

    assert len({(each.provider_id, each.embedding_model) for each in found}) == 1


def test_an_alias_of_nothing_is_no_valid_yaml() -> None:
    assert "undefined alias" in problems("vector_dbs: *nothing")[0]


def test_two_anchors_of_one_name_are_said_to_be() -> None:
    assert problems("a: &x 1\nb: &x 2") == ("not valid YAML: an anchor of this name is above",)


def test_many_tag_directives_are_refused() -> None:
    """The parser compares each with all before it."""
    text = "".join(f"%TAG !a{number}! b\n" for number in range(60_000)) + "--- a\n"

    assert problems(text)[-1] == "not valid YAML: more than 100 %TAG directives"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (f"'{'x' * 2000}'", "text of 2000 characters"),
        (f"!!binary {'AAAA' * 1000}", "binary data"),
        ("!!set {a, b}", "a list"),
    ],
)
def test_what_is_long_is_told_by_its_size(value: str, kind: str) -> None:
    assert problems(f"vector_dbs: [{value}]") == (f"vector_dbs[0]: must be a mapping, not {kind}",)


def test_a_tuple_of_a_list_of_pairs_is_a_list() -> None:
    assert problems("vector_dbs: !!pairs [a: [b]]") == ("vector_dbs[0]: must be a mapping, not a list",)


def test_many_unknown_keys_are_refused() -> None:
    """To find what each may be meant for would take minutes."""
    keys = ", ".join(f"key{number}: x" for number in range(MAX_PROBLEMS + 2))

    assert problems(f"vector_dbs: [{{vector_db_id: a, {keys}}}]") == tuple(
        f"vector_dbs[0].key{number}: unknown key, one of more than {MAX_PROBLEMS} different ones"
        for number in (MAX_PROBLEMS, MAX_PROBLEMS + 1)
    )


def test_one_unknown_key_may_stand_in_every_entry() -> None:
    """It is one, and remarkable only."""
    entries = ", ".join(f"{{vector_db_id: a{number}, owner: hr}}" for number in range(MAX_PROBLEMS + 2))

    assert len(parse(f"vector_dbs: [{entries}]", {}).collections) == MAX_PROBLEMS + 2


def test_a_long_unknown_key_is_near_to_none() -> None:
    key = "embedding_model" * 50_000

    (path,) = parse(f"vector_dbs: [{{vector_db_id: a, ? {key} : x}}]", {}).warnings

    assert path == f"vector_dbs[0].{key[:59]}…"


def test_what_expands_to_a_long_text_is_refused() -> None:
    """As by a variable that holds a certificate, over and over."""
    text = f"vector_dbs: [{{vector_db_id: '{'${env.A}' * 100}'}}]"

    assert problems(text, {"A": "x" * 100_000}) == ("vector_dbs[0].vector_db_id: expands to more than 1000 characters",)


def test_many_parts_that_declare_are_told_in_one_line() -> None:
    assert len(problems("--- {vector_dbs: [a]}\n" * 10_000)[0]) < 1000


def test_advice_on_many_lists_is_bounded() -> None:
    assert len(problems("--- {vector_databases: [a]}\n" * 1000)) == MAX_PROBLEMS


def test_advice_looks_at_so_many_keys() -> None:
    """To find what each may be meant for would take a minute."""
    keys = ", ".join(f"xembedding{number}: x" for number in range(20_000))

    (problem,) = problems(f"vector_databases: [{{vector_db_id: a, {keys}, identifier: b}}]")

    assert "rename it to vector_dbs" in problem
    assert "xembedding29" not in problem
    assert len(problem) < 1000


def test_many_parts_that_do_not_are_too() -> None:
    assert len(problems("--- {vector_databases: }\n" * 10_000)[0]) < 2000
