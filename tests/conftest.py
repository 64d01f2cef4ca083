"""No test may skip: what was not run was not seen to work."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so where a test was skipped or expected to fail."""
    if _passed_over(terminalreporter):
        terminalreporter.write_line("A test was skipped: this run does not count.", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where a test was skipped or expected to fail."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and _passed_over(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _passed_over(reporter: pytest.TerminalReporter) -> bool:
    return any(reporter.stats.get(outcome) for outcome in ("skipped", "xfailed", "xpassed"))
