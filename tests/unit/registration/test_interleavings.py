"""Runs at the same instant, in virtual time: some of the orders of their answers that `make test-races` tries."""

import pytest

from tests.faults.interleavings import violations


@pytest.mark.parametrize("seed", range(40))
def test_runs_agree_in_whatever_order_they_are_answered(seed: int) -> None:
    assert violations(seed) == []
