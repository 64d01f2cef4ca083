"""What an embedding model answers, and what follows from it."""

import re
from typing import Any

import pytest

from tests.fake_llamastack import FakeLlamaStack, answer, hang
from tests.unit.conftest import Run, Waits, entries

EMBED = "POST /v1/embeddings"
ONE = entries("red_hat_docs")
OWN_WORDS = {"detail": "Internal server error: An unexpected error occurred."}


def test_an_embedding_model_that_is_down_is_told_from_a_backend(server: FakeLlamaStack, run: Run) -> None:
    """A model is listed whether or not its endpoint answers."""
    server.model_is_down = True

    outcome = run(server.url)

    assert outcome.exit_code == 3
    assert "the embedding model 'sentence-transformers/ibm-granite/" in outcome.detail()
    assert "does not answer (POST /v1/embeddings answered 500" in outcome.detail()


def test_an_embedding_model_that_does_not_answer_is_given_up(server: FakeLlamaStack, run: Run, waits: Waits) -> None:
    """Sooner than other requests, which it only explains."""
    waits.set(embed_seconds=0.3)
    server.dead_ids.add(server.add("red_hat_docs"))
    server.fault(EMBED, hang())

    outcome = run(server.url, "check", collections=ONE)

    assert outcome.exit_code == 3
    assert "does not answer (POST /v1/embeddings: no answer within 0.3 s" in outcome.detail()


def test_a_model_that_does_not_answer_leaves_half_of_the_time(server: FakeLlamaStack, run: Run) -> None:
    """For the verdict, which it only explains."""
    server.dead_ids.add(server.add("red_hat_docs"))
    server.fault(EMBED, hang())

    outcome = run(server.url, "check", "--timeout", "2", collections=ONE)

    assert outcome.states == ["unavailable"]
    waited = re.search(r"the embedding model .* no answer within ([0-9.]+) s", outcome.detail())
    assert waited is not None
    assert float(waited[1]) <= 1


def test_up_to_0_2_24_the_embedding_model_has_another_path(run: Run) -> None:
    """The newer one answers 404 there."""
    with FakeLlamaStack("dbs", model_is_down=True) as server:
        outcome = run(server.url)

    assert outcome.exit_code == 3
    assert "does not answer (POST /v1/openai/v1/embeddings answered 500" in outcome.detail()


def test_where_nobody_may_ask_the_model_none_says_that_it_works(server: FakeLlamaStack, run: Run) -> None:
    """Policies may forbid inference."""
    server.dead_ids.add(server.add("red_hat_docs"))
    server.fault(EMBED, answer(403, {"detail": "forbidden"}))

    assert "whether the embedding model answers is unknown (" in run(server.url, collections=ONE).detail()


@pytest.mark.parametrize("body", [{"data": []}, {"data": [{"embedding": "x"}]}])
def test_an_embedding_that_is_none_is_no_answer_of_the_model(
    server: FakeLlamaStack, run: Run, body: dict[str, Any]
) -> None:
    """Something else answered."""
    server.dead_ids.add(server.add("red_hat_docs"))
    server.fault(EMBED, answer(200, body))

    assert "whether the embedding model answers is unknown (" in run(server.url, collections=ONE).detail()


@pytest.mark.parametrize("command", ["register", "check"])
def test_a_model_that_makes_other_vectors_is_refused_first(server: FakeLlamaStack, run: Run, command: str) -> None:
    """Whatever the server says of it: no release compares them, and inserts or queries would fail with 400."""
    server.vector_length = 1024

    outcome = run(server.url, command)

    assert (outcome.exit_code, outcome.states) == (4, ["rejected"] * 3)
    assert outcome.detail().startswith("embedding_dimension is 768, but the model '")
    assert "has just made a vector of 1024: inserts or queries would fail; configure 1024" in outcome.detail()
    assert server.lines().count(EMBED) == 1
    assert server.stores == []


def test_a_model_that_refuses_dimensions_is_a_warning(server: FakeLlamaStack, run: Run) -> None:
    """Each file that is attached fails then, and the chunks of a pipeline do not (0.7.3, ogx 1.5.0)."""
    server.refuses_dimensions = True

    outcome = run(server.url)

    assert outcome.exit_code == 0
    (warning,) = outcome.report["warnings"]
    assert "attached files will fail, since it refuses `dimensions` (POST /v1/embeddings answered 400" in warning
    assert "model.refuses_dimensions" in outcome.event_names()


def test_only_register_asks_for_dimensions(server: FakeLlamaStack, run: Run) -> None:
    """A refusal costs the server a log, so that what runs before each pipeline leaves it out."""
    server.refuses_dimensions = True
    run(server.url)
    server.requests.clear()

    outcome = run(server.url, "check")

    assert (outcome.exit_code, outcome.report["warnings"]) == (0, [])
    assert not any("dimensions" in request.body for request in server.requests if request.line == EMBED)


def test_0_5_0_is_the_first_that_asks_for_them(run: Run) -> None:
    """By its source."""
    with FakeLlamaStack(version="0.5.0") as server:
        server.refuses_dimensions = True
        outcome = run(server.url)

    assert len(outcome.report["warnings"]) == 1


@pytest.mark.parametrize(("generation", "version"), [("dbs", "0.2.24"), ("0.3", "0.3.5"), ("0.7", "0.4.7")])
def test_up_to_0_4_no_model_is_asked_for_dimensions(run: Run, generation: Any, version: str) -> None:
    """There the server does not do it either when a file is attached."""
    with FakeLlamaStack(generation, version=version) as server:
        server.refuses_dimensions = True
        outcome = run(server.url)

    assert (outcome.exit_code, outcome.report["warnings"]) == (0, [])


def test_a_model_that_fails_with_dimensions_alone_is_no_warning(server: FakeLlamaStack, run: Run) -> None:
    """It may have failed for a moment, and the proofs tell."""
    server.fault(EMBED, lambda handler: handler.reply(*handler._embed()), times=1)
    server.fault(EMBED, answer(500, OWN_WORDS), times=1)

    outcome = run(server.url)

    assert (outcome.exit_code, outcome.report["warnings"]) == (0, [])
