"""What a fuzzer begins with, and what it has found: each input that `make test-fuzz` keeps is run here."""

from pathlib import Path

import pytest

from tests.fuzz.run import HERE, NAMES, seeds_of
from tests.fuzz.targets import OPERATIONS, TARGETS


@pytest.mark.parametrize("name", NAMES)
def test_what_a_fuzzer_has_tried_holds(name: str, tmp_path: Path) -> None:
    """Without the fuzzer: a failure shows the bytes."""
    found = [path.read_bytes() for path in sorted((HERE / "inputs" / name).glob("*"))]
    seeds = seeds_of(name)

    assert seeds
    with TARGETS[name](tmp_path) as check:
        for data in (*seeds, *found):
            check(data)


def test_each_target_is_fuzzed() -> None:
    assert tuple(TARGETS) == NAMES


def test_each_operation_begins_with_what_a_server_answered() -> None:
    assert {seed[0] for seed in seeds_of("answers")} == set(range(len(OPERATIONS)))
