"""How files are cut: the forms that LlamaStack's releases take, and nothing else."""

import json
from typing import Any

import pytest

from tests import configuration
from tests.configuration import parse

PROMPT = "{{WHOLE_DOCUMENT}} has {{CHUNK_CONTENT}}"


def declared(strategy: Any, section: str = "vector_dbs") -> str:
    return json.dumps({section: [{"vector_db_id": "a", "chunking_strategy": strategy}]})


def problems(strategy: Any) -> list[str]:
    """Return what is wrong with a strategy, each below its path."""
    found = configuration.problems(declared(strategy))
    return [problem.removeprefix("vector_dbs[0].chunking_strategy") for problem in found]


@pytest.mark.parametrize(
    "strategy",
    [
        None,
        {"type": "auto"},
        {"type": "static", "static": {}},
        {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}},
        {"type": "static", "static": {"max_chunk_size_tokens": 4096, "chunk_overlap_tokens": 4095}},
        {"type": "contextual", "contextual": {"model_id": "m", "context_prompt": PROMPT, "timeout_seconds": 1}},
        {"type": "contextual", "contextual": {"max_concurrency": 3, "max_chunk_size_tokens": 401}},
    ],
)
def test_a_form_of_the_releases_is_kept(strategy: Any) -> None:
    (found,) = parse(declared(strategy), {}).collections

    assert found.chunking_strategy == strategy


def test_variables_in_it_are_expanded() -> None:
    """A number stays one."""
    static = {"max_chunk_size_tokens": "${env.SIZE:=512}", "chunk_overlap_tokens": "${env.OVERLAP}"}
    (found,) = parse(declared({"type": "${env.T:=static}", "static": static}), {"OVERLAP": "0"}).collections

    wanted = {"type": "static", "static": {"max_chunk_size_tokens": 512, "chunk_overlap_tokens": 0}}
    assert found.chunking_strategy == wanted


def test_what_a_variable_hides_is_not_checked() -> None:
    """The server has it."""
    text = declared({"type": "static", "static": {"max_chunk_size_tokens": "${env.SIZE}"}})

    assert list(parse(text, {}, allow_unset=True).warnings) == [
        "vector_dbs[0].chunking_strategy.static.max_chunk_size_tokens"
    ]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("auto", [": must be a mapping with a type, not 'auto'"]),
        ({}, [".type: must be one of auto, static, contextual"]),
        ({"type": ["auto"]}, [".type: must be one of auto, static, contextual"]),
        ({"type": "fixed_size_chunking"}, [".type: must be one of auto, static, contextual"]),
        ({"type": "auto", "size": 1}, [".size: unknown key; valid keys: type"]),
        (
            {"type": "static"},
            [".static: must be a mapping, which may have max_chunk_size_tokens, chunk_overlap_tokens"],
        ),
        (
            {"type": "static", "static": {"max_chunk_size": 800}},
            [".static.max_chunk_size: unknown key; valid keys: max_chunk_size_tokens, chunk_overlap_tokens"],
        ),
        *(
            (
                {"type": "static", "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": 0}},
                [".static.max_chunk_size_tokens: must be a whole number from 100 to 4096"],
            )
            for size in (99, 4097, "800", 800.5, True, None)
        ),
        (
            {"type": "static", "static": {"chunk_overlap_tokens": -1}},
            [".static.chunk_overlap_tokens: must be a whole number from 0 to 4096"],
        ),
        (
            {"type": "static", "static": {"max_chunk_size_tokens": 300}},
            [".static.chunk_overlap_tokens: is 400, and must be less than max_chunk_size_tokens, which is 300"],
        ),
        (
            {"type": "contextual", "contextual": {"chunk_overlap_tokens": 700}},
            [".contextual.chunk_overlap_tokens: is 700, and must be less than max_chunk_size_tokens, which is 700"],
        ),
        (
            {"type": "contextual", "contextual": {"timeout_seconds": 0}},
            [".contextual.timeout_seconds: must be a whole number from 1 to 1000000000"],
        ),
        (
            {"type": "contextual", "contextual": {"model_id": ""}},
            [".contextual.model_id: must be a string that is not empty"],
        ),
        *(
            (
                {"type": "contextual", "contextual": {"context_prompt": prompt}},
                [".contextual.context_prompt: must have {{WHOLE_DOCUMENT}}, and {{CHUNK_CONTENT}} after it"],
            )
            for prompt in ("Say it", "{{CHUNK_CONTENT}} of {{WHOLE_DOCUMENT}}", "{{CHUNK_CONTENT}}")
        ),
    ],
)
def test_what_no_release_takes_is_wrong(strategy: Any, expected: list[str]) -> None:
    assert problems(strategy) == expected
