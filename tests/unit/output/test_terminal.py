"""The report for a person: what is the same is said once, and 80 columns are enough."""

import re
from dataclasses import replace

from hook.domain import Finding, State
from hook.errors import ExitCode
from hook.output.report import ID_HINT
from hook.output.terminal import render_text
from tests.unit.output.test_report import MISSING, report

NOTE = "unverified: on this release an empty store cannot be told from one whose backend is down"
IDS = [f"vs_{number}1db54a64-0a08-4c95-a147-cf05d3b73e7" for number in range(3)]
NAMES = ("red_hat_docs", "acme_corporate", "eu_ai_act")
REGISTERED = [Finding(name, State.REGISTERED, store_id) for name, store_id in zip(NAMES, IDS, strict=True)]
NOTED = [replace(each, state=State.PRESENT, detail=NOTE) for each in REGISTERED]


def test_what_is_the_same_in_each_row_is_said_once() -> None:
    assert render_text(report(*REGISTERED, message="All is well")).splitlines() == [
        "COLLECTION      ID",
        f"red_hat_docs    {IDS[0]}",
        f"acme_corporate  {IDS[1]}",
        f"eu_ai_act       {IDS[2]}",
        "",
        "all 3 registered",
        "",
        ID_HINT,
        "OK, exit code 0, 1.2 s: All is well",
    ]


def test_a_detail_that_rows_share_is_a_footnote() -> None:
    lines = render_text(report(MISSING, *NOTED[:2], code=ExitCode.MISMATCH), 80).splitlines()

    assert lines[:8] == [
        "COLLECTION      STATE    ID",
        "acme            missing  -",
        "  the server does not list it; run `register`",
        f"red_hat_docs    present  {IDS[0]}  [1]",
        f"acme_corporate  present  {IDS[1]}  [1]",
        "",
        "[1] unverified: on this release an empty store cannot be told from one whose",
        "backend is down",
    ]


def test_a_detail_of_all_needs_no_number() -> None:
    lines = render_text(report(*NOTED)).splitlines()

    assert lines[4:7] == ["", "all 3 present", NOTE]


def test_one_row_shows_what_it_has() -> None:
    assert render_text(report(MISSING)).splitlines()[:3] == [
        "COLLECTION  STATE",
        "acme        missing",
        "  the server does not list it; run `register`",
    ]
    assert render_text(report(REGISTERED[0])).splitlines()[1] == f"red_hat_docs  registered  {IDS[0]}"


def test_a_table_that_is_too_wide_shows_ids_below() -> None:
    long = replace(REGISTERED[0], name="a-collection-with-a-very-long-name-of-its-own")

    lines = render_text(report(long, MISSING), 80).splitlines()

    assert lines[0].split() == ["COLLECTION", "STATE"]
    assert lines[lines.index(next(line for line in lines if line.startswith(long.name))) + 1] == f"  {IDS[0]}"
    assert max(map(len, lines)) <= 80


def test_long_texts_break_between_words() -> None:
    text = render_text(report(*NOTED[:1], MISSING, warnings=("word " * 40,), message="word " * 40), 80)

    assert max(map(len, text.splitlines())) <= 80
    assert NOTE in re.sub(r"\s+", " ", text)


def test_state_and_verdict_are_colored() -> None:
    text = render_text(report(REGISTERED[0], MISSING, code=ExitCode.MISMATCH), colors=True)

    assert "\x1b[31mmissing   \x1b[0m" in text
    assert "\x1b[32mregistered\x1b[0m" in text
    assert "\x1b[31mFAILED (mismatch)\x1b[0m, exit code 5" in text
    assert text.count("\x1b[") == 6


def test_the_verdict_repeats_no_problem() -> None:
    said = "The configuration has 1 problem: a: is missing"

    lines = render_text(report(problems=("a: is missing",), message=said, code=ExitCode.CONFIG)).splitlines()
    assert lines == ["a: is missing", "FAILED (config), exit code 2, 1.2 s: The configuration has 1 problem"]


def test_the_verdict_repeats_no_detail() -> None:
    text = render_text(report(MISSING, message="acme: the cause", brief="1 of 1 failed"))

    assert text.splitlines()[-1].endswith(": 1 of 1 failed")


def test_a_problem_is_never_cut_off() -> None:
    """What to do about it may stand at its end."""
    problem = f"{'f' * 300}.yaml:1:1: {'x ' * 200}rename it"
    text = render_text(report(code=ExitCode.CONFIG, message="The configuration has 1 problem: x", problems=(problem,)))

    assert text.splitlines()[0] == problem
