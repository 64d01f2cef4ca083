"""The one result object, told as text, as JSON and as a termination message."""

import json
from dataclasses import replace
from typing import Any

import pytest

from hook.domain import Finding, State
from hook.errors import ExitCode
from hook.output.report import (
    TERMINATION_MESSAGE_BYTES,
    Report,
    closing_sentences,
    render_json,
    termination_message,
)
from hook.output.terminal import render_text

PRESENT = Finding("docs", State.PRESENT, "vs_1")
DECLARED = Finding("eu_ai_act", State.REGISTERED, "eu_ai_act")
MISSING = Finding("acme", State.MISSING, None, "the server does not list it; run `register`")
VALID = Finding("docs", State.VALID)
DISABLED = Finding("off", State.DISABLED, None, "its provider_id __disabled__ switches it off")
URL = "http://stack:8321"


def report(*findings: Finding, code: ExitCode = ExitCode.OK, **fields: Any) -> Report:
    """Return a report with these findings."""
    values: dict[str, Any] = {"message": "The sentence", "server_url": URL, "elapsed_seconds": 1.23456} | fields
    return Report("register", code, findings=findings, **values)


def test_json_has_every_field_of_the_schema() -> None:
    """One line, so that it stands out in a pod's log."""
    text = render_json(report(PRESENT, MISSING, code=ExitCode.MISMATCH, server_version="0.7.3"))

    assert "\n" not in text
    assert json.loads(text) == {
        "schema": "register-collections/report/v1",
        "command": "register",
        "outcome": "mismatch",
        "exit_code": 5,
        "message": "The sentence",
        "problems": [],
        "warnings": [],
        "server": {"url": URL, "version": "0.7.3"},
        "collections": [
            {
                "name": "docs",
                "alias": None,
                "id": "vs_1",
                "state": "present",
                "addressed_by": "id",
                "verified": True,
                "lost_ids": [],
                "detail": "",
            },
            {
                "name": "acme",
                "alias": None,
                "id": None,
                "state": "missing",
                "addressed_by": None,
                "verified": False,
                "lost_ids": [],
                "detail": "the server does not list it; run `register`",
            },
        ],
        "elapsed_seconds": 1.235,
    }


def test_text_is_an_aligned_table_and_a_sentence() -> None:
    """A person sees at a glance what is wrong and what to do."""
    assert render_text(report(PRESENT, DECLARED, MISSING, code=ExitCode.MISMATCH)).splitlines() == [
        "COLLECTION  STATE       ID         ADDRESSED BY",
        "acme        missing     -          -",
        "  the server does not list it; run `register`",
        "docs        present     vs_1       id",
        "eu_ai_act   registered  eu_ai_act  name",
        "",
        "use the ids above in /v1/vector-io/insert, not the names",
        "FAILED (mismatch), exit code 5, 1.2 s: The sentence",
    ]


def test_the_json_keeps_the_order_of_the_configuration() -> None:
    """A program looks for what it wants by itself."""
    findings = json.loads(render_json(report(PRESENT, MISSING)))["collections"]

    assert [finding["name"] for finding in findings] == ["docs", "acme"]


def test_text_lists_the_problems_of_a_configuration() -> None:
    """One a line, before the sentence."""
    assert render_text(report(code=ExitCode.CONFIG, problems=("a: is missing", "b: is empty"))).splitlines() == [
        "a: is missing",
        "b: is empty",
        "FAILED (config), exit code 2, 1.2 s: The sentence",
    ]


def test_text_cannot_be_forged_by_a_server() -> None:
    """Whatever an id holds, it stays one cell of one line."""
    assert render_text(report(Finding("docs", State.PRESENT, "vs\n\x1b[2Jforged"))).splitlines()[1:] == [
        "docs        present  vs \\x1b[2Jforged",
        "",
        "use the ids above in /v1/vector-io/insert, not the names",
        "OK, exit code 0, 1.2 s: The sentence",
    ]


@pytest.mark.parametrize(
    ("command", "findings", "expected"),
    [
        ("register", (PRESENT, DECLARED), f"2 collections registered and verified on {URL}: 1 new, 1 already there"),
        ("check", (PRESENT,), f"1 collection registered and verified on {URL}: 0 new, 1 already there"),
        ("check", (), "no collection is declared; no server was asked"),
        ("register", (DISABLED,), "all 1 declared collections are disabled; no server was asked"),
        ("validate", (VALID,), "1 collection, valid"),
        ("validate", (VALID, DISABLED, VALID), "2 collections, valid; 1 more disabled"),
        (
            "register",
            (PRESENT, MISSING),
            f"1 of 2 collections failed on {URL}: 'acme' is missing: the server does not list it; run `register`",
        ),
        (
            "check",
            (DISABLED, PRESENT, MISSING),
            f"1 of 2 collections failed on {URL}; 1 more disabled: 'acme' is missing: the server does not list it; "
            "run `register`",
        ),
        (
            "register",
            (replace(PRESENT, unverified=True), DECLARED, DISABLED),
            f"2 collections registered on {URL}: 1 new, 1 already there; 1 verified, 1 unverified; 1 more disabled",
        ),
        (
            "check",
            (replace(PRESENT, unverified=True),),
            f"1 collection registered on {URL}: 0 new, 1 already there; 0 verified, 1 unverified",
        ),
        (
            "check",
            (MISSING, Finding("docs", State.REJECTED, detail="the server has no such model")),
            f"2 of 2 collections failed on {URL}: 1 rejected, 1 missing; first: 'docs' is rejected: the server has no "
            "such model",
        ),
        (
            "register",
            (MISSING, MISSING),
            f"2 of 2 collections failed on {URL}: 2 missing; first: 'acme' is missing: the server does not list it; "
            "run `register`",
        ),
    ],
)
def test_the_closing_sentence_names_the_first_cause(command: str, findings: tuple[Finding, ...], expected: str) -> None:
    """It is the line that Kubernetes shows, so it has to be enough."""
    assert closing_sentences(command, findings, URL)[0] == expected


@pytest.mark.parametrize(("warnings", "expected"), [(1, "1 warning"), (2, "2 warnings")])
def test_a_valid_configuration_with_warnings_says_so(warnings: int, expected: str) -> None:
    assert closing_sentences("validate", (VALID,), URL, warnings)[0] == f"1 collection, valid, {expected}"


@pytest.mark.parametrize("finding", [MISSING, DISABLED, VALID, replace(PRESENT, unverified=True)])
def test_only_a_proven_collection_is_verified(finding: Finding) -> None:
    """A consumer that needs a proof reads this field, and not the detail."""
    assert json.loads(render_json(report(finding)))["collections"][0]["verified"] is False


def test_the_termination_message_is_a_line_and_json() -> None:
    """`oc describe pod` shows it to people, and programs can parse it."""
    line, body = termination_message(report(PRESENT)).decode().split("\n")

    assert line == "The sentence"
    assert json.loads(body)["collections"][0]["name"] == "docs"
    assert json.loads(body)["collections_omitted"] == 0


@pytest.mark.parametrize("count", [0, 1, 12, 13, 14, 1000])
@pytest.mark.parametrize("text", ["x", "\n", "é", "\U0001f600", "\ud800", '"\\'])
def test_the_termination_message_always_fits_and_parses(count: int, text: str) -> None:
    """The kubelet cuts after 4096 bytes, and half a JSON is none."""
    findings = [Finding(f"{text * 30}{number}", State.PRESENT, "vs_1", text * 500) for number in range(count)]
    content = termination_message(report(*findings, message=text * 2000))
    body = json.loads(content.decode().split("\n")[-1])

    assert len(content) <= TERMINATION_MESSAGE_BYTES
    assert content.count(b"\n") == 1
    assert len(body["collections"]) + body["collections_omitted"] == count
    assert body["collections"] or not count


def test_the_termination_message_shows_failures_first() -> None:
    """What does not fit is what went well."""
    findings = [Finding(f"good-{number}", State.PRESENT, "vs_1") for number in range(100)]
    body = json.loads(termination_message(report(*findings, MISSING)).decode().split("\n")[1])

    assert body["collections"][0]["name"] == "acme"
    assert body["collections_omitted"] > 0
