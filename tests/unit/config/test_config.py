"""What the loader accepts, and that it shows every problem with its path."""

import sys
from pathlib import Path

import pytest

from hook.config.file import load
from hook.config.sources import MAX_CONFIG_BYTES
from hook.deadline import Deadline
from hook.domain import Collection, Finding, State
from hook.errors import ConfigError
from tests.configuration import names, parse, problems
from tests.fake_llamastack import GRANITE

MODEL = "embedding_model: m"
NOTHING = "no collection is declared"
WHERE = ": put your list there (kustomize: configMapGenerator with behavior: replace; Helm: collections)"
MEANT = "if that is intended, set --allow-empty or HOOK_ALLOW_EMPTY=true (Helm: allowEmpty)"
NEITHER = "declares vector_dbs or registered_resources.vector_stores"
UNSET = "the environment variable NONE is not set; set it, or write ${env.NONE:=DEFAULT}"
FORMS = "only ${env.NAME}, ${env.NAME:=default} and ${env.NAME:+value}, not nested"


def test_vector_dbs_become_collections() -> None:
    """LlamaStack's own section is read with all its fields."""
    text = f"""
vector_dbs:
  - vector_db_id: red_hat_docs
    provider_id: milvus-shared
    provider_vector_db_id: red_hat_docs
    embedding_model: {GRANITE}
    embedding_dimension: 768
"""

    assert parse(text, {}).collections == (Collection("red_hat_docs", GRANITE, "milvus-shared", 768),)


def test_registered_resources_become_collections() -> None:
    """The section of 0.4.3 and newer is read with all its fields, in a file that has others."""
    text = """
version: 2
server: {port: 8321}
registered_resources:
  models: [{model_id: m}]
  vector_stores:
    - vector_store_id: docs
      vector_store_name: Documents
      provider_id: milvus
      provider_vector_store_id: docs
      embedding_model: sentence-transformers/m
      embedding_dimension: 384
"""

    (found,) = parse(text, {}).collections

    assert found == Collection("docs", "sentence-transformers/m", "milvus", 384, alias="Documents")


def test_both_sections_are_read() -> None:
    """A run.yaml for two generations may use both sections; an empty one does not matter."""
    both = f"vector_dbs: [{{vector_db_id: a, {MODEL}}}]\nregistered_resources: {{vector_stores: []}}"

    assert names(both) == ["a"]


def test_provider_and_dimension_may_be_left_out() -> None:
    """What is not configured is left to the server's only possibility."""
    assert parse(f"vector_dbs: [{{vector_db_id: a, {MODEL}}}]", {}).collections == (Collection("a", "m"),)


@pytest.mark.parametrize(
    "text",
    [
        "kind: ConfigMap\ndata:\n  notes.sh: 'echo: [unclosed'\n  run.yaml: |\n    ONE",
        "kind: Service\n---\nkind: ConfigMap\ndata:\n  x: plain\n  config.yaml: 'ONE'",
        "- a list\n---\nONE\n---\n",
        "kind: ConfigMap\ndata:\n  number: 1\n  many: |\n    x: 1\n    ---\n    ONE",
    ],
    ids=["value", "among-documents", "bare", "documents-in-value"],
)
def test_the_section_is_found_in_manifests(text: str) -> None:
    """A ConfigMap's values and every document of a file are searched for the one that has a section."""
    assert names(text.replace("ONE", f"vector_dbs: [{{vector_db_id: a, {MODEL}}}]")) == ["a"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${env.NAME}", "set"),
        ("x-${env.NAME}-y", "x-set-y"),
        ("${env.NAME:=other}", "set"),
        ("${env.NONE:=other}", "other"),
        ("${env.EMPTY:=other}", "other"),
        ("a${env.NONE:=}", "a"),
        ("a${env.NAME:+b}", "ab"),
        ("a${env.NONE:+b}", "a"),
        ("${env.DOLLAR}", "${env.NAME}$1"),
    ],
)
def test_substitutions_are_llamastacks(value: str, expected: str) -> None:
    """The three forms expand as in core/stack.py of 0.3.5, once, and an empty variable counts as unset."""
    environ = {"NAME": "set", "EMPTY": "", "DOLLAR": "${env.NAME}$1"}

    assert names(f"vector_dbs: [{{vector_db_id: '{value}', {MODEL}}}]", environ) == [expected]


@pytest.mark.parametrize("value", ["'768'", "768", "'${env.DIMENSION:=768}'"])
def test_a_dimension_may_be_text(value: str) -> None:
    """A substituted or quoted number is a number."""
    text = f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: {value}}}]"

    assert parse(text, {}).collections[0].embedding_dimension == 768


@pytest.mark.parametrize("provider_id", ["__disabled__", "${env.NONE:+milvus}", "${env.NONE:=__disabled__}"])
def test_disabled_entries_are_left_out_and_told(provider_id: str) -> None:
    """What LlamaStack would leave out is left out, but not in silence."""
    text = f"vector_dbs: [{{vector_db_id: a, {MODEL}, provider_id: '{provider_id}'}}, {{vector_db_id: b, {MODEL}}}]"

    config = parse(text, {})

    assert config.collections == (Collection("b", "m"),)
    assert config.disabled == {"a": f"provider_id {provider_id}"}
    assert [(finding.name, finding.state) for finding in config.findings(State.VALID).values()] == [
        ("a", State.DISABLED),
        ("b", State.VALID),
    ]


def test_of_two_entries_of_a_name_one_may_be_switched_off() -> None:
    """That is how a collection is moved to the provider that an environment has."""
    text = "\n".join(
        ["vector_dbs:", *(f"- {{vector_db_id: a, {MODEL}, provider_id: '${{env.{x}:+{x}}}'}}" for x in "XYZ")]
    )

    assert parse(text, {"Y": "1"}).findings(State.VALID) == {"a": Finding("a", State.VALID)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"vector_dbs: [{{{MODEL}}}]", "vector_dbs[0].vector_db_id: is missing"),
        (f"vector_dbs: [{{vector_db_id: '', {MODEL}}}]", "vector_dbs[0].vector_db_id: is empty"),
        (
            f"vector_dbs: [{{vector_db_id: 7, {MODEL}}}]",
            "vector_dbs[0].vector_db_id: must be a string, not 7; quote it",
        ),
        (
            f"vector_dbs: [{{vector_db_id: ' a', {MODEL}}}]",
            "vector_dbs[0].vector_db_id: has a space at its start or end, or a character that cannot be printed",
        ),
        (
            f'vector_dbs: [{{vector_db_id: "a\\nb", {MODEL}}}]',
            "vector_dbs[0].vector_db_id: has a space at its start or end, or a character that cannot be printed",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embeding_dimension: 7}}]",
            "vector_dbs[0].embeding_dimension: unknown key; did you mean embedding_dimension?",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: 0}}]",
            "vector_dbs[0].embedding_dimension: must be a whole number above 0 in plain digits, such as 768, not 0",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: 1234567890}}]",
            "vector_dbs[0].embedding_dimension: must be a whole number above 0 in plain digits, such as 768, "
            "not 1234567890",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: true}}]",
            "vector_dbs[0].embedding_dimension: must be a whole number above 0 in plain digits, such as 768, not True",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: 7.5}}]",
            "vector_dbs[0].embedding_dimension: must be a whole number above 0 in plain digits, such as 768, not 7.5",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: many}}]",
            "vector_dbs[0].embedding_dimension: must be a whole number above 0 in plain digits, such as 768, "
            "not 'many'",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: 12:48}}]",
            "vector_dbs[0].embedding_dimension: must be a whole number above 0 in plain digits, such as 768, not 12:48",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: 01400}}]",
            "vector_dbs[0].embedding_dimension: must be a whole number above 0 in plain digits, such as 768, not 01400",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: 0x300}}]",
            "vector_dbs[0].embedding_dimension: must be a whole number above 0 in plain digits, such as 768, not 0x300",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: 1_000}}]",
            "vector_dbs[0].embedding_dimension: must be a whole number above 0 in plain digits, such as 768, not 1_000",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: '01400'}}]",
            "vector_dbs[0].embedding_dimension: must be a whole number above 0 in plain digits, such as 768, "
            "not '01400'",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, provider_id: [x]}}]",
            "vector_dbs[0].provider_id: must be a string, not a list; quote it",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, provider_id: ''}}]",
            "vector_dbs[0].provider_id: is empty",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, provider_vector_db_id: {{}}}}]",
            "vector_dbs[0].provider_vector_db_id: must be a string, not a mapping; quote it",
        ),
        (
            f"vector_dbs: [{{vector_db_id: '${{env.NONE}}', {MODEL}}}]",
            f"vector_dbs[0].vector_db_id: {UNSET}",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, embedding_dimension: '${{env.NONE}}'}}]",
            f"vector_dbs[0].embedding_dimension: {UNSET}",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, provider_id: '${{env.NONE}}'}}]",
            f"vector_dbs[0].provider_id: {UNSET}",
        ),
        (
            f"vector_dbs: [{{vector_db_id: '${{env.lower}}', {MODEL}}}]",
            f"vector_dbs[0].vector_db_id: LlamaStack does not expand '${{env.lower}}', {FORMS}",
        ),
        (
            f"vector_dbs: [{{vector_db_id: '${{env.NONE:=${{env.HOME}}}}', {MODEL}}}]",
            f"vector_dbs[0].vector_db_id: LlamaStack does not expand '${{env.NONE:=${{env.HOME}}}}', {FORMS}",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, provider_id: '${{env.NONE:+${{env.HOME}}}}'}}]",
            f"vector_dbs[0].provider_id: LlamaStack does not expand '${{env.NONE:+${{env.HOME}}}}', {FORMS}",
        ),
        (
            f"vector_dbs: [{{{MODEL}, provider_id: __disabled__}}, {{vector_db_id: b, {MODEL}}}]",
            "vector_dbs[0].vector_db_id: is missing",
        ),
        ("vector_dbs: [a]", "vector_dbs[0]: must be a mapping, not 'a'"),
        ("vector_dbs: [null]", "vector_dbs[0]: must be a mapping, not empty"),
        ("vector_dbs: {a: b}", "vector_dbs: must be a list of collections, not a mapping"),
        ("vector_dbs:", f"vector_dbs: {NOTHING}{WHERE}; {MEANT}"),
        (
            "vector_dbs: []\nregistered_resources: {vector_stores: []}",
            f"vector_dbs and registered_resources.vector_stores: {NOTHING}{WHERE}; {MEANT}",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}, provider_id: __disabled__}}]",
            f"vector_dbs: all 1 declared collections are switched off by their provider_id (a): {MEANT}",
        ),
        (
            f"vector_dbs: [{{vector_db_id: a, {MODEL}}}]\n"
            f"registered_resources: {{vector_stores: [{{vector_store_id: a, {MODEL}}}]}}",
            "registered_resources.vector_stores[0].vector_store_id: 'a' is already declared at vector_dbs[0]",
        ),
        (
            f"kind: ConfigMap\ndata:\n  run.yaml: 'vector_dbs: [{{{MODEL}}}]'",
            "data[run.yaml].vector_dbs[0].vector_db_id: is missing",
        ),
        (
            "kind: ConfigMap\ndata:\n  run.yaml: 'vector_dbs: ['",
            "data[run.yaml]: not valid YAML: did not find expected node content",
        ),
        (
            "kind: ConfigMap\nmetadata: {name: x}\ndata:\n  run.yaml: 'server: 1'\n  notes.sh: 'echo'",
            f"no key of ConfigMap 'x' {NEITHER} (keys: run.yaml, notes.sh)",
        ),
        ("server: {}\nvector_stores: {}", f"no key {NEITHER} (keys: server, vector_stores)"),
        (
            "vector_stores: [{vector_store_id: a}]",
            "vector_stores: LlamaStack does not read this list: move it to registered_resources.vector_stores",
        ),
        ("{}", f"no key {NEITHER} (keys: none)"),
        (
            "",
            "is empty, or not a mapping; declare collections under vector_dbs or registered_resources.vector_stores",
        ),
        ("vector_dbs:\n\t- vector_db_id: a", "a tab; YAML indents with spaces"),
        ("vector_dbs:\n  - vector_db_id: a\n\t  embedding_model: m", "a tab; YAML indents with spaces"),
        ("a: [", "not valid YAML: did not find expected node content"),
        (
            "a: {<<: text}",
            "not valid YAML: expected a mapping or list of mappings for merging, but found scalar",
        ),
        ("vector_dbs: 1\nvector_dbs: 2", "not valid YAML: duplicate key 'vector_dbs'"),
        ("a: \x00", "not valid YAML: unacceptable character #x0000: control characters are not allowed in "
         '"<unicode string>", position 3'),
    ],
)  # fmt: skip
def test_a_problem_is_shown_with_its_path(text: str, expected: str) -> None:
    """Each way to get it wrong has its sentence."""
    assert problems(text) == (expected,)


def test_deep_nesting_is_a_problem_and_no_crash() -> None:
    """A document that is deeper than the parser can follow is refused, before it is followed."""
    assert problems("[" * 500) == ("not valid YAML: nested deeper than 100",)
    assert problems("- " * 200_000) == ("not valid YAML: nested deeper than 100",)


def test_a_flood_of_values_is_a_problem() -> None:
    """What fits into a ConfigMap and holds a value in every other byte is no configuration."""
    (problem,) = problems(f"a: [{'[],' * 200_000}]")

    assert "not valid YAML: more than 50,000 values, with each alias expanded" in problem


def test_a_large_file_costs_few_steps_a_collection() -> None:
    """A ConfigMap of 1 MiB is read before anybody waits for it: what steps through each character is not Python's."""
    text = "vector_dbs:\n" + "".join(
        f"- vector_db_id: name-{number}\n  {MODEL}\n  provider_id: milvus\n" for number in range(1000)
    )
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        found = names(text)
    finally:
        sys.setprofile(None)

    assert len(found) == 1000
    assert calls < 150 * 1000


@pytest.mark.parametrize(
    "text",
    [
        f"x: {{{'<<: {}, ' * 30_000}}}",
        f"l: &l {{{', '.join(f'k{n}: 1' for n in range(900))}}}\nx: [{'{<<: *l},' * 200}]",
        "d: "
        + "".join(f"[{{a: &l{n} {{<<: [{', '.join([f'*l{n - 1}' if n else '{a: b}'] * 30)}]}}}}, " for n in range(6))
        + "]" * 6
        + "\nx: {<<: *l5}",
    ],
    ids=["many-merges", "many-mappings", "deep"],
)
def test_merges_are_bounded_in_every_way(text: str) -> None:
    """None of these is large, and each would take minutes."""
    assert " values, with each alias expanded" in problems(text)[0]


def test_a_script_is_named_where_nothing_is_declared() -> None:
    """It may be a file without the right ending; but the keys come first."""
    text = "kind: ConfigMap\nmetadata: {name: x}\ndata:\n  config: 'vector_dbs: ['\n  other.yaml: 'a: b'"

    assert problems(text) == (
        f"no key of ConfigMap 'x' {NEITHER} (keys: config, other.yaml)",
        "data[config]: not valid YAML: did not find expected node content",
    )


def test_merged_mappings_cannot_multiply() -> None:
    """Five lines of YAML that would fill the memory."""
    levels = [f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 40)}]}}" for n in range(1, 9)]

    assert "more than 50,000 values, with each alias expanded" in problems("\n".join(["l0: &l0 {a: b}", *levels]))[0]


def test_a_flood_of_problems_is_cut() -> None:
    """One cause is enough to see."""
    shown = problems(f"vector_dbs: [{', '.join(['x'] * 250)}]")

    assert len(shown) == 101
    assert shown[-1] == "and 150 more"


def test_a_file_larger_than_a_configmap_is_refused(tmp_path: Path) -> None:
    """Nothing that Kubernetes could mount is that large."""
    path = tmp_path / "large"
    path.write_bytes(b"#" * (MAX_CONFIG_BYTES + 1))

    with pytest.raises(ConfigError, match="is larger than 1 MiB"):
        load([path], {}, Deadline(10))


@pytest.mark.parametrize("value", ["!!bool maybe", "!!int ''", "!!float ''", "!!timestamp foo"])
def test_a_value_that_the_parser_fails_at_is_a_problem(value: str) -> None:
    """PyYAML raises whatever comes to it."""
    assert problems(f"vector_dbs: [{{vector_db_id: {value}}}]")[0].split("not valid YAML: ")[1]


def test_a_number_of_thousands_of_digits_is_a_problem() -> None:
    """Python does not even print it, so it is told as it is written."""
    text = f"vector_dbs: [{{vector_db_id: 0x{'f' * 5000}, {MODEL}}}]"

    assert problems(text) == (f"vector_dbs[0].vector_db_id: must be a string, not 0x{'f' * 77}…; quote it",)


def test_a_broken_part_of_a_configmap_is_not_passed_over() -> None:
    """Else an old copy beside it would be taken for the configuration."""
    old = f"vector_dbs: [{{vector_db_id: a, {MODEL}}}]"
    text = f"kind: ConfigMap\ndata:\n  run.yaml: 'vector_dbs: ['\n  old.yaml: '{old}'"

    assert problems(text)[0].startswith("data[run.yaml]: not valid YAML")


def test_a_merge_may_override_what_was_merged_before() -> None:
    """The keys that count are those that were written."""
    text = """
defs:
  more:
    base: &base {embedding_model: m, provider_id: p}
    deep: &deep {<<: *base, provider_id: q}
vector_dbs: [{<<: *deep, vector_db_id: x}]
"""

    assert parse(text, {}).collections == (Collection("x", "m", "q"),)


def test_merge_keys_are_no_duplicates() -> None:
    """YAML's own way to share fields keeps working."""
    text = f"common: &common {{{MODEL}}}\nvector_dbs: [{{<<: *common, vector_db_id: a, embedding_model: n}}]"

    assert parse(text, {}).collections == (Collection("a", "n"),)


def test_all_problems_are_shown_at_once() -> None:
    """One run tells everything that is wrong."""
    text = "vector_dbs: [{vector_db_id: a, provider_id: 1}, {vector_db_id: a, embeding_model: m}, 3]"

    assert [problem.split(":")[0] for problem in problems(text)] == [
        "vector_dbs[0].provider_id",
        "vector_dbs[1].embeding_model",
        "vector_dbs[1].vector_db_id",
        "vector_dbs[2]",
    ]


def test_a_file_is_named_in_its_problems(tmp_path: Path) -> None:
    """The path of the file comes first."""
    path = tmp_path / "collections.yaml"
    path.write_text("vector_dbs: []")

    with pytest.raises(ConfigError) as caught:
        load([path], {}, Deadline(10))

    assert caught.value.problems == (f"{path}:1:1: vector_dbs: {NOTHING}{WHERE}; {MEANT}",)


def test_a_file_that_is_missing_or_no_text_is_a_problem(tmp_path: Path) -> None:
    """Neither is a traceback."""
    (tmp_path / "binary").write_bytes(b"vector_dbs: \xff")

    with pytest.raises(ConfigError, match="no such file; check --config or HOOK_CONFIG"):
        load([tmp_path / "missing"], {}, Deadline(10))
    with pytest.raises(ConfigError, match="is not UTF-8 text: invalid start byte at byte 12"):
        load([tmp_path / "binary"], {}, Deadline(10))


def test_a_value_of_any_length_is_read_soon() -> None:
    """Substitutions that have no end would each be looked for to the end of the file."""
    long = "${env.A:=" * 100_000
    text = f"vector_dbs: [{{vector_db_id: '{long}', {MODEL}, provider_id: '{long}', embedding_dimension: '{long}'}}]"

    assert problems(text) == tuple(
        f"vector_dbs[0].{key}: is longer than 1000 characters"
        for key in ("vector_db_id", "provider_id", "embedding_dimension")
    )
