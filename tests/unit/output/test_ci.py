"""The report for pipelines: Markdown, and GitHub's annotations."""

import pytest

from hook.domain import Finding, State
from hook.errors import ExitCode
from hook.output.ci import render_github, render_markdown
from tests.unit.output.test_report import MISSING, PRESENT, report


def test_markdown_is_a_table_with_the_failures_first() -> None:
    found = report(PRESENT, MISSING, code=ExitCode.MISMATCH, message="acme: missing", brief="1 of 2 failed")

    assert render_markdown(found).splitlines() == [
        "### register-collections register: FAILED (mismatch)",
        "",
        "1 of 2 failed",
        "",
        "| collection | state | id | detail |",
        "| --- | --- | --- | --- |",
        "| acme | missing |  | the server does not list it; run \\`register\\` |",
        "| docs | present | vs\\_1 |  |",
    ]


def test_markdown_lists_problems_and_warnings() -> None:
    found = report(code=ExitCode.CONFIG, problems=("a: is missing",), warnings=("b: ignored",), message="1 problem: a")

    assert render_markdown(found).splitlines()[2:] == ["1 problem", "", "- a: is missing", "- warning: b: ignored"]


def test_markdown_is_not_forged_by_a_name() -> None:
    """Nor its table broken."""
    text = render_markdown(report(Finding("a|b\n<img src=x>", State.PRESENT, "[x](http://y)")))

    assert text.splitlines()[-1] == "| a\\|b \\<img src=x\\> | present | \\[x\\](http://y) |  |"


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ("c.yaml:3:5: docs: is missing", "::error file=c.yaml,line=3,col=5::docs: is missing"),
        ("c.yaml:3: docs: is missing", "::error file=c.yaml,line=3::docs: is missing"),
        ("a,b.yml: vector_dbs[0]: 100%", "::error file=a%2Cb.yml::vector_dbs[0]: 100%25"),
        ("a:b.YAML: vector_dbs[0]: x", "::error file=a%3Ab.YAML::vector_dbs[0]: x"),
        ("a:b.yaml:3:5: docs: x", "::error file=a%3Ab.yaml,line=3,col=5::docs: x"),
        ("/dev/stdin:3:5: docs: x", "::error file=/dev/stdin,line=3,col=5::docs: x"),
        ("a.yaml:b:3:5: x at c:1:1: y", "::error file=a.yaml%3Ab,line=3,col=5::x at c:1:1: y"),
        ("HOOK_OUTPUT: must not be a:1:1: b", "::error::HOOK_OUTPUT: must not be a:1:1: b"),
        ("HOOK_OUTPUT: must be one of a, b", "::error::HOOK_OUTPUT: must be one of a, b"),
    ],
)
def test_github_shows_a_problem_where_it_is(problem: str, expected: str) -> None:
    text = render_github(report(code=ExitCode.CONFIG, problems=(problem,), message="The file has 1 problem: x"))

    assert text.splitlines() == [expected, "The file has 1 problem"]


def test_github_shows_failures_and_warnings() -> None:
    text = render_github(report(PRESENT, MISSING, code=ExitCode.MISMATCH, warnings=("c.yaml: owner: unknown",)))

    assert text.splitlines() == [
        "::warning file=c.yaml::owner: unknown",
        "::error::'acme' is missing: the server does not list it; run `register`",
        "The sentence",
    ]


def test_github_shows_a_failure_of_the_run() -> None:
    assert render_github(report(code=ExitCode.UNAVAILABLE)) == "::error::The sentence"
    assert render_github(report(PRESENT)) == "The sentence"


def test_no_text_of_a_server_is_a_command_of_github() -> None:
    text = render_github(report(MISSING, Finding("x", State.LOST, "1", "a\n::set-output name=x::y"), message="a\n::z"))

    assert [line for line in text.splitlines() if line.startswith("::") and not line.startswith("::error::'")] == []
