"""The JSON Schemas, of the collections file and of the report, say what the program says."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hook.cli.commands import COMMANDS
from hook.config.sections import SECTIONS
from hook.domain import State
from hook.errors import ConfigError, ExitCode
from hook.output.report import Report, as_dict
from tests.configuration import parse
from tests.fake_llamastack import FakeLlamaStack
from tests.unit.conftest import REPORT_SCHEMA, Run, entries
from tests.unit.test_properties import json_values, quickly, words

ROOT = Path(__file__).parents[2]
COLLECTIONS_SCHEMA = json.loads((ROOT / "schemas" / "collections.schema.json").read_text())
ENTRY = {"vector_db_id": "a", "embedding_model": "m"}


def fits(document: Any) -> bool:
    """Return whether a document is valid by the schema of the collections file."""
    return Draft202012Validator(COLLECTIONS_SCHEMA).is_valid(document)


def is_accepted(document: Any, **environ: str) -> bool:
    """Return whether the program takes a document as its configuration."""
    try:
        parse(json.dumps(document), environ)
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("schema", [COLLECTIONS_SCHEMA, REPORT_SCHEMA], ids=["collections", "report"])
def test_the_schemas_are_schemas(schema: Any) -> None:
    """One with a mistake in it would let everything through."""
    Draft202012Validator.check_schema(schema)


def configurations() -> list[str]:
    """Return every configuration in the repository that declares collections."""
    candidates = [*ROOT.glob("manifests/base/*.yaml"), *ROOT.glob("tests/live/**/*.yaml")]
    sections = [section.path[-1] for section in SECTIONS]
    declared = (str(path.relative_to(ROOT)) for path in candidates if any(s in path.read_text() for s in sections))
    return sorted(path for path in declared if is_accepted(yaml.safe_load((ROOT / path).read_text())))


@pytest.mark.parametrize("path", configurations())
def test_every_configuration_in_the_repository_fits(path: str) -> None:
    """Those of the real servers, too, with all that LlamaStack itself keeps in them."""
    assert fits(yaml.safe_load((ROOT / path).read_text()))


def test_the_base_s_file_shows_how_an_editor_finds_the_schema() -> None:
    """A path is one from the file that names it."""
    path = ROOT / "manifests" / "base" / "collections.yaml"
    first = path.read_text().splitlines()[0]

    assert first.startswith("# yaml-language-server: $schema=")
    assert json.loads((path.parent / first.partition("=")[2]).read_text()) == COLLECTIONS_SCHEMA
    beside = f"# yaml-language-server: $schema={Path(first.partition('=')[2]).name}"
    assert beside in (ROOT / "docs" / "configuration.md").read_text()


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        ENTRY | {"provider_id": "milvus-shared", "provider_vector_db_id": "a", "embedding_dimension": 768},
        ENTRY | {"embedding_dimension": "768"},
        ENTRY | {"embedding_dimension": "${env.DIMENSION:=768}"},
        ENTRY | {"provider_id": "${env.PROVIDER:=milvus}"},
        ENTRY | {"provider_id": None, "embedding_dimension": None},
        {"vector_db_id": "Namen dürfen Leerzeichen haben", "embedding_model": "x/y"},
    ],
)
def test_what_the_program_accepts_fits(entry: dict[str, Any]) -> None:
    document = {"vector_dbs": [entry], "providers": {}, "registered_resources": {"vector_stores": []}}

    assert is_accepted(document)
    assert fits(document)


@quickly
@given(
    st.lists(
        st.fixed_dictionaries(
            {"vector_db_id": words, "embedding_model": words},
            optional=dict.fromkeys(
                ("embedding_dimension", "provider_id", "provider_vector_db_id"), words | json_values
            ),
        ),
        min_size=1,
    )
)
def test_whatever_the_program_accepts_fits(found: list[dict[str, Any]]) -> None:
    document = {"vector_dbs": found}

    assert fits(document) or not is_accepted(document)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"vector_databases": [ENTRY]},
        {"registered_resources": {"models": []}},
        {"vector_dbs": ENTRY},
        {"vector_dbs": ["a"]},
        {"vector_dbs": [{"embedding_model": "m"}]},
        {"vector_dbs": [ENTRY | {"vector_db_id": None}]},
        {"vector_dbs": [ENTRY | {"vector_db_id": 7}]},
        {"vector_dbs": [ENTRY | {"vector_db_id": ""}]},
        {"vector_dbs": [ENTRY | {"vector_db_id": " a"}]},
        {"vector_dbs": [ENTRY | {"embedding_model": ["m"]}]},
        {"vector_dbs": [ENTRY | {"embedding_dimension": 0}]},
        {"vector_dbs": [ENTRY | {"embedding_dimension": True}]},
        {"vector_dbs": [ENTRY | {"embedding_dimension": "many"}]},
        {"vector_dbs": [ENTRY | {"embedding_dimension": "1234567890"}]},
        {"vector_dbs": [ENTRY | {"embedding_dimension": "0768"}]},
        {"vector_dbs": [ENTRY | {"provider_id": 1}]},
        {"vector_dbs": [ENTRY | {"provider_vector_db_id": 1}]},
        {"registered_resources": {"vector_stores": [{"vector_db_id": "a", "embedding_model": "m"}]}},
    ],
)
def test_what_the_program_refuses_for_its_shape_does_not_fit(document: Any) -> None:
    """So that an editor shows it before anybody commits it."""
    assert not is_accepted(document)
    assert not fits(document)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.path[-1])
def test_the_schema_names_each_key_that_the_program_knows(section: Any) -> None:
    """An editor offers what is listed there."""
    schema = COLLECTIONS_SCHEMA
    for key in section.path:
        schema = schema["properties"][key]

    assert set(section.keys) <= schema["items"]["properties"].keys()
    wanted = [["vector_store_id"], ["vector_store_name"]] if section.id_key == "vector_store_id" else [["vector_db_id"]]
    assert [each["required"] for each in schema["items"].get("anyOf", [schema["items"]])] == wanted


def test_the_report_s_schema_names_each_field() -> None:
    """All that a report has is described, and required of it."""
    report = as_dict(Report("check", ExitCode.OK, "", (), ()))

    assert REPORT_SCHEMA["properties"].keys() == report.keys() == {*REPORT_SCHEMA["required"]}


def test_the_report_s_schema_names_each_state_and_outcome() -> None:
    properties = REPORT_SCHEMA["properties"]

    assert {*State} <= {*properties["collections"]["items"]["properties"]["state"]["enum"]}
    assert properties["command"]["enum"] == list(COMMANDS)
    assert properties["exit_code"]["enum"] == list(ExitCode)
    assert properties["outcome"]["enum"] == [code.name.lower() for code in ExitCode]


@pytest.mark.parametrize(
    ("flags", "collections"),
    [(["register"], None), (["check"], None), (["validate"], None), (["check", "--prove", "x"], None), ([], [{}])],
    ids=["register", "check", "validate", "usage", "configuration"],
)
def test_the_report_of_a_run_fits(
    server: FakeLlamaStack, run: Run, flags: list[str], collections: list[dict[str, Any]] | None
) -> None:
    """As does that of every other run in these tests, which `run` itself sees to."""
    outcome = run(server.url, *flags, collections=collections)

    assert Draft202012Validator(REPORT_SCHEMA).is_valid(outcome.report)


def test_a_report_without_a_field_does_not_fit(server: FakeLlamaStack, run: Run) -> None:
    """Else the test above would prove nothing."""
    report = run(server.url, "check", collections=entries("docs")).report
    del report["collections"][0]["lost_ids"]

    assert not Draft202012Validator(REPORT_SCHEMA).is_valid(report)
