"""Runs at the same instant, in virtual time: some of the orders of their answers that `make test-races` tries."""

import os
import resource
import subprocess
import sys
from functools import partial

import pytest

from tests.faults.interleavings import FAILED_SEEDS, KINDS, violations

SEEDS = [(kind, seed) for kind in KINDS for seed in range(16 if kind == "plain" else 5)]
FAILED = [
    (kind, int(seed)) for kind, _, seed in (line.rpartition(" ") for line in FAILED_SEEDS.read_text().splitlines())
]


@pytest.mark.parametrize(("kind", "seed"), SEEDS)
def test_runs_agree_in_whatever_order_they_are_answered(kind: str, seed: int) -> None:
    assert violations(seed, kind) == []


@pytest.mark.parametrize(("kind", "seed"), FAILED)
def test_an_order_that_once_went_wrong_is_right(kind: str, seed: int) -> None:
    assert violations(seed, kind) == []


def test_seeds_without_an_end_are_tried_in_little_memory() -> None:
    limit = partial(resource.setrlimit, resource.RLIMIT_AS, (2**30, 2**30))
    command = [sys.executable, "-m", "tests.faults.interleavings", "--seconds", "0.5", "--kind", "plain"]
    # Else each thread may take 64 MiB of addresses, used or not.
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert "0 with violations" in ended.stdout
