"""What holds for every input: nothing that a file or a server can say makes the hook raise anything but its own errors.

The examples are few, so that the whole suite stays quick; HYPOTHESIS_EXAMPLES=5000 looks harder.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hook.cli.commands import COMMANDS
from hook.cli.flags import SETTINGS
from hook.cli.settings import parse as parse_settings
from hook.cli.usage import parse_arguments
from hook.config.file import load
from hook.deadline import Deadline
from hook.domain import (
    GOOD_STATES,
    Collection,
    Finding,
    Model,
    Observation,
    Proof,
    Provider,
    State,
    Target,
    VectorStore,
    Verdict,
    exit_code,
)
from hook.errors import TEXT_LIMIT, ConfigError, ExitCode, HookError, RefusedError, one_line
from hook.http.answers import error_text, retry_after_seconds
from hook.http.client import Http
from hook.llamastack.api import LlamaStack
from hook.llamastack.dialects import VectorDbsDialect, VectorStoresDialect
from hook.output.report import TERMINATION_MESSAGE_BYTES, Report, render_json, termination_message
from hook.output.terminal import render_text
from hook.registration.candidates import candidates
from hook.registration.journal import Journal
from hook.registration.judge import Judge
from hook.registration.resolve import resolve
from tests.configuration import parse

T = TypeVar("T")
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "25"))
quickly = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


usage_texts = st.text(st.characters(exclude_characters="\x00"), max_size=30)
"""What a flag or a variable can hold."""
words = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=4)
"""What the configuration loader lets through."""


def attempt(call: Callable[[], T]) -> tuple[T | None, HookError | None]:
    """Return what a call returns, or the hook's own error that it raises; any other error fails the test."""
    try:
        return call(), None
    except HookError as error:
        return None, error


def problems(error: HookError | None) -> tuple[str, ...]:
    """Return the problems of an error, which is one of the configuration, and has some."""
    assert isinstance(error, ConfigError)
    assert error.problems
    return error.problems


def printable(text: str) -> bool:
    """Return whether a text can neither forge a line nor break a table."""
    return text.isprintable()


# The configuration loader


ENTRY_KEYS = (
    "vector_db_id",
    "provider_vector_db_id",
    "vector_store_id",
    "vector_store_name",
    "metadata",
    "provider_id",
    "embedding_model",
    "embedding_dimension",
    "no_such_key",
)
substitutions = st.sampled_from(
    ["${env.SET}", "${env.UNSET}", "${env.UNSET:=x}", "${env.SET:+}", "${env.a}", "${", "}"]
)
entries = st.dictionaries(
    st.sampled_from(ENTRY_KEYS) | st.text(max_size=5),
    st.text(max_size=10) | substitutions | st.integers() | json_values,
    max_size=7,
)
sections = st.lists(entries | json_values, max_size=4) | json_values
documents = st.fixed_dictionaries(
    {},
    optional={
        "vector_dbs": sections,
        "registered_resources": st.fixed_dictionaries({}, optional={"vector_stores": sections}) | json_values,
        "vector_databases": json_values,
        "vector_stores": st.fixed_dictionaries({}, optional={"default_embedding_model": json_values}) | json_values,
        "kind": st.sampled_from(["ConfigMap", "Secret", "List", "Template"]) | json_values,
        "items": st.lists(st.fixed_dictionaries({"vector_dbs": sections}) | json_values, max_size=2) | json_values,
        "objects": json_values,
        "data": st.dictionaries(st.text(max_size=5), st.text(max_size=30) | json_values, max_size=3) | json_values,
    },
)
YAML_PIECES = [
    "vector_dbs",
    "a",
    "0",
    "1e9",
    ":",
    "- ",
    "? ",
    "\n",
    "\n  ",
    "&a ",
    "*a",
    "<<: ",
    "{",
    "}",
    "[",
    "]",
    ",",
]
YAML_PIECES += [
    "!!int ",
    "!!float ",
    "!!bool ",
    "!!timestamp ",
    "!!binary ",
    "!!set ",
    "!!omap ",
    "!!pairs ",
    "!x ",
    "!",
]
YAML_PIECES += [
    '""',
    "'",
    '"',
    "|",
    ">",
    "#",
    "%YAML 1.1",
    "---",
    "...",
    "@",
    "\t",
    "\x00",
    "\ufeff",
    "=",
    "~",
    "0x",
    ".",
]
yaml_texts = st.lists(st.sampled_from(YAML_PIECES) | st.text(max_size=3), max_size=15).map("".join)


def check_config(text: str) -> None:
    """Parse a text, and look at what comes of it; an unset variable that is allowed changes nothing else."""
    config, error = attempt(lambda: parse(text, {"SET": "value", "EMPTY": ""}))
    tolerated, _ = attempt(lambda: parse(text, {"SET": "value", "EMPTY": ""}, allow_unset=True, allow_empty=True))
    if config is None:
        assert [problem for problem in problems(error) if not printable(problem)] == []
        return
    assert tolerated == config
    assert [f"{path}: {hint}" for path, hint in config.warnings.items() if not printable(path + hint)] == []
    names = [collection.name for collection in config.collections]
    assert len(set(names)) == len(names) > 0
    for collection in config.collections:
        assert printable(collection.name)
        assert collection.name.strip()
        assert collection.embedding_model is None or collection.embedding_model.strip()
        assert collection.embedding_dimension is None or collection.embedding_dimension > 0


@quickly
@given(documents)
def test_any_document_is_a_configuration_or_a_list_of_problems(document: dict[str, Any]) -> None:
    """JSON is YAML, so this reaches every section with every type of value."""
    check_config(json.dumps(document))


@quickly
@given(documents)
def test_any_configmap_is_one_too(document: dict[str, Any]) -> None:
    """The document stands in one of the values of a manifest."""
    check_config(json.dumps({"kind": "ConfigMap", "data": {"script": "a: [", "run.yaml": json.dumps(document)}}))


@quickly
@given(yaml_texts | st.text())
def test_any_text_is_too(text: str) -> None:
    """Syntax that means something to YAML, in an order that does not."""
    check_config(text)


@pytest.mark.parametrize("tag", ["int", "float", "bool", "timestamp", "binary", "set", "omap", "pairs", "null", "map"])
@pytest.mark.parametrize("value", ['""', "x", "[]", "{}", "[[]]", "0x", "-", ".", "_", "1:x", "99999-99-99"])
def test_a_tag_with_a_value_that_it_cannot_have_is_a_problem(tag: str, value: str) -> None:
    """PyYAML raises whatever comes to it, such as an IndexError for an empty `!!int`."""
    check_config(f"vector_dbs: !!{tag} {value}")


@quickly
@given(content=st.binary(max_size=200))
def test_any_file_is_read_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Also one that is no text."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError):
        load([path], {}, Deadline(10))


@quickly
@given(
    st.dictionaries(st.sampled_from([str(setting.variable) for setting in SETTINGS]), usage_texts),
    st.lists(
        st.sampled_from([*(setting.flag for setting in SETTINGS), "--to", "--strict", *COMMANDS]) | usage_texts,
        max_size=4,
    ),
)
def test_any_usage_is_understood_or_a_configuration_error(environ: dict[str, str], argv: list[str]) -> None:
    """Flags and variables, whatever their values."""
    if {"-h", "--help", "--version"} & set(argv):
        return
    asked, error = attempt(lambda: parse_settings(parse_arguments(argv), environ))
    if asked is None:
        assert problems(error)
        return
    assert asked.timeout_seconds > 0
    assert "@" not in asked.server.url.split("/")[2]


# The planner


NAMES = ("docs", "laws", "vs_1")
stores = st.lists(
    st.builds(
        VectorStore,
        id=st.sampled_from(["vs_1", "vs_2", "vs_3", "docs"]),
        name=st.none() | st.sampled_from(NAMES) | st.text(max_size=5),
        status=st.none() | st.sampled_from(["completed", "in_progress"]) | st.text(max_size=5),
        created_at=st.integers(),
        provider_id=st.none() | st.sampled_from(["milvus", "faiss"]),
        embedding_model=st.none() | st.sampled_from(["st/granite", "granite", "other"]),
        embedding_dimension=st.none() | st.sampled_from(["768", "384", "x"]),
    ),
    max_size=6,
    unique_by=lambda store: store.id,
)
lives = st.builds(Proof, st.sampled_from(Verdict), st.text(max_size=5), st.none() | st.sampled_from([384, 768]))
models = st.builds(
    Model,
    id=st.sampled_from(["st/granite", "granite", "other/granite", ""]) | st.text(max_size=4),
    resource_id=st.none() | st.sampled_from(["granite", "x"]),
    embedding_dimension=st.none() | st.integers(-1, 1000),
)
targets = [Target(name, Provider("milvus", "milvus"), Model("st/granite", "granite", 768), 768) for name in NAMES]


@quickly
@given(stores, st.lists(lives, min_size=4, max_size=4), st.sampled_from(["fail", "oldest", "filled"]))
def test_the_plan_has_one_finding_for_each_collection(
    listed: list[VectorStore], drawn: list[Proof], on_duplicate: str
) -> None:
    """A collection is only good with one live vector store, or with one of several where that is asked for."""
    proofs = dict(zip(("vs_1", "vs_2", "vs_3", "docs"), drawn, strict=True))

    look = Observation(1, tuple(listed), {store.id: 1 for store in listed}, proofs)
    findings = Judge(on_duplicate=on_duplicate).findings(targets, look, Journal("this run"))

    assert tuple(findings) == NAMES
    for name, finding in findings.items():
        matching = candidates(targets, listed)[name]
        live = [store for store in matching if proofs[store.id].verdict is not Verdict.LOST]
        assert finding.id is None or finding.id in {store.id for store in matching}
        if finding.state is State.PRESENT:
            assert len(live) == 1 or (on_duplicate != "fail" and len(live) > 1)
            assert on_duplicate == "filled" or finding.id == live[0].id
        assert (finding.state is State.MISSING) == (not matching)
        assert set(finding.lost_ids) == {store.id for store in matching} - {store.id for store in live}


@quickly
@given(st.lists(st.sampled_from(State), min_size=1))
def test_only_good_findings_make_exit_code_0(states: list[State]) -> None:
    """And any other state makes another code."""
    code = exit_code([Finding("docs", state) for state in states])

    assert (code is ExitCode.OK) == (set(states) <= GOOD_STATES)


@quickly
@given(stores)
def test_all_runs_agree_which_one_came_first(listed: list[VectorStore]) -> None:
    """Whatever the server says of its vector stores, they come by age, and within a second as the list has them."""
    for target in targets:
        raced = candidates([target], listed)[target.name]

        assert raced == sorted(raced, key=lambda store: (store.created_at, listed.index(store)))


@quickly
@given(
    st.builds(
        Collection,
        name=st.just("docs"),
        embedding_model=st.sampled_from(["granite", "st/granite"]) | words,
        provider_id=st.none() | st.sampled_from(["milvus", "faiss"]),
        embedding_dimension=st.none() | st.integers(1, 1000),
    ),
    st.lists(models, max_size=4),
    st.lists(st.builds(Provider, id=st.sampled_from(["milvus", "faiss"]) | st.text(max_size=4)), max_size=3),
)
def test_a_collection_resolves_to_what_the_server_has(
    collection: Collection, has: list[Model], providers: list[Provider]
) -> None:
    """Or it is refused, in one line."""
    target, error = attempt(lambda: resolve(collection, has, providers))
    if target is None:
        assert isinstance(error, RefusedError)
        assert printable(str(error))
        return
    assert target.provider in providers
    assert target.model in has
    assert target.model.embedding_dimension in (None, target.embedding_dimension)


# The pager, and everything else that reads a server's JSON


class Script:
    """An `Http` whose answers are drawn; after the last of them, the last again."""

    url = "http://stack"

    def __init__(self, answers: list[Any]) -> None:
        self._answers = answers
        self.asked = 0

    def get(self, *_: object, **__: object) -> Any:
        """Return the next answer."""
        self.asked += 1
        return self._answers[min(self.asked, len(self._answers)) - 1]

    post = get

    def get_dated(self, *_: object) -> tuple[Any, float | None]:
        """Return the next answer, and no time."""
        return self.get(), None


class Pages:
    """An `Http` that pages by a size of its own, as some servers do whatever the limit is."""

    url = "http://stack"

    def __init__(self, ids: list[str], size: int) -> None:
        self._ids = ids
        self._size = size

    def get_dated(self, _: str, query: Mapping[str, str]) -> tuple[Any, float | None]:
        """Return a page, and no time."""
        start = self._ids.index(query["after"]) + 1 if "after" in query else 0
        page = self._ids[start : start + self._size]
        more = start + self._size < len(self._ids)
        return {"data": [{"id": each, "name": each} for each in page], "has_more": more}, None


items = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["vs_1", "vs_2"]) | json_values,
        "identifier": st.text(max_size=4) | json_values,
        "name": json_values,
        "status": json_values,
        "created_at": json_values,
        "metadata": st.dictionaries(st.sampled_from(["provider_id", "embedding_dimension"]), json_values) | json_values,
        "custom_metadata": json_values,
        "provider_id": json_values,
        "api": st.just("vector_io") | json_values,
    },
)
answers = st.lists(
    st.fixed_dictionaries(
        {}, optional={"data": st.lists(items, max_size=3) | json_values, "has_more": json_values, "status": json_values}
    )
    | json_values,
    min_size=1,
    max_size=5,
)


@quickly
@given(answers)
def test_any_pager_ends(drawn: list[Any]) -> None:
    """With each vector store once, or with the hook's own error."""
    script = Script(drawn)
    listed, error = attempt(lambda: VectorStoresDialect().vector_stores(cast(Http, script)))

    ids = [store.id for store in listed or ()]
    assert len(set(ids)) == len(ids)
    assert error is None or printable(str(error))
    assert script.asked <= 3000


@quickly
@given(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=30), st.integers(1, 12))
def test_a_pager_that_is_honest_is_read_to_its_end(ids: list[str], size: int) -> None:
    """Whatever the size of its pages."""
    listed = VectorStoresDialect().vector_stores(cast(Http, Pages(ids, size)))

    assert [store.id for store in listed] == ids


@quickly
@given(answers)
def test_any_answer_is_read_or_refused(drawn: list[Any]) -> None:
    """Health, version, models, providers, both lists, both creates."""
    target = targets[0]
    for call in calls(drawn, target):
        _, error = attempt(call)
        assert error is None or printable(str(error))


def calls(drawn: list[Any], target: Target) -> Iterator[Any]:
    """Yield every call that reads an answer."""
    http = cast(Http, Script(drawn))
    for dialect in (VectorStoresDialect(), VectorDbsDialect()):
        yield lambda dialect=dialect: dialect.vector_stores(http)
        yield lambda dialect=dialect: dialect.read(http.post(dialect.path, dialect.body(target, "a-run")), "POST")
    server = LlamaStack(cast(Http, Script(drawn)))
    yield from (server.check_health, server.version, server.models, server.providers)


# Somebody else's texts


errors = st.fixed_dictionaries({}, optional={key: st.text() | json_values for key in ("loc", "msg")})
error_bodies = st.fixed_dictionaries(
    {},
    optional={
        "detail": st.fixed_dictionaries({"errors": st.lists(errors | json_values, max_size=3)}) | json_values,
        "error": st.fixed_dictionaries({}, optional={"message": json_values, "detail": json_values}) | json_values,
    },
)
reprs = st.fixed_dictionaries({"errors": st.lists(errors, max_size=2)}).map(
    lambda found: {"error": {"message": repr(found)}}
)


@quickly
@given(error_bodies.map(json.dumps) | reprs.map(json.dumps) | json_values.map(json.dumps) | st.text())
def test_any_error_answer_is_one_readable_line(body: str) -> None:
    """Its own words, cut to a sane length."""
    text = error_text(body.encode("utf-8", "surrogatepass"))

    assert text
    assert printable(text)
    assert len(text) <= TEXT_LIMIT


@quickly
@given(st.binary())
def test_any_bytes_are_one_readable_line(content: bytes) -> None:
    """Also where they are no text at all."""
    assert printable(error_text(content))


@quickly
@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_line(text: str, limit: int) -> None:
    """Nothing in it can start another line, or move a cursor."""
    line = one_line(text, limit)

    assert printable(line)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1


@quickly
@given(st.text() | st.integers().map(str) | st.datetimes().map(str))
def test_any_retry_after_is_a_number_of_seconds_or_nothing(header: str) -> None:
    """Absurd ones included."""
    seconds = retry_after_seconds(header)

    assert seconds is None or 0 <= seconds < 1e12


# The report


findings = st.builds(
    Finding,
    name=st.text(min_size=1),
    state=st.sampled_from(State),
    id=st.none() | st.text(max_size=50),
    detail=st.text(max_size=300),
    lost_ids=st.lists(st.text(max_size=50), max_size=5).map(tuple),
)
reports = st.builds(
    Report,
    command=st.sampled_from(["register", "check"]),
    exit_code=st.sampled_from(ExitCode),
    message=st.text(max_size=2000).map(lambda text: one_line(text, 2000)),
    findings=st.lists(findings, max_size=60).map(tuple),
    problems=st.lists(st.text(), max_size=5).map(tuple),
    server_url=st.none() | st.text(max_size=2000),
    server_version=st.none() | st.text(max_size=60),
    elapsed_seconds=st.floats(0, 1e6),
)


@quickly
@given(reports)
def test_any_termination_message_fits_and_can_be_read(report: Report) -> None:
    """One line for a person, then JSON, which counts every collection that it leaves out."""
    message = termination_message(report)

    assert len(message) <= TERMINATION_MESSAGE_BYTES
    line, _, body = message.decode().partition("\n")
    assert printable(line)
    told = json.loads(body)
    assert told["exit_code"] == report.exit_code
    assert len(told["collections"]) + told["collections_omitted"] == len(report.findings)


@quickly
@given(reports)
def test_any_report_is_one_line_of_json_or_a_table(report: Report) -> None:
    """A line at least for each problem and each collection, whatever their names are, and of every width."""
    assert "\n" not in render_json(report)
    assert json.loads(render_json(report))["exit_code"] == report.exit_code
    lines = render_text(report).split("\n")
    assert all(printable(line) for line in lines)
    assert len(lines) > (len(report.problems) or len(report.findings))
    for columns in (1, 80):
        assert all(printable(line) for line in render_text(report, columns).split("\n"))
