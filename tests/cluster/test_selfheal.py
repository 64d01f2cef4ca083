"""`components/self-heal`: the CronJob runs by itself, and finds what has happened between two syncs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import stack
from tests.cluster.kube import HOOK, Api, Room, collections, create_store, delete_store, vector_stores


def installed(room: Room, name: str, **settings: str) -> None:
    """Install it with one collection, and with a run each minute."""
    content = room.kustomization("self-heal", config=collections(name), **settings)
    minutely = '[{"op": "replace", "path": "/spec/schedule", "value": "* * * * *"}]'
    content["patches"].append({"target": {"kind": "CronJob"}, "patch": minutely})
    assert room.apply(content).returncode == 0
    assert room.outcome().exit_codes == [0]


def scheduled(room: Room, seen: Callable[[Any], bool]) -> Any:
    """Wait for a run of the CronJob that has ended as it should, and return it."""

    def found() -> Any:
        for job in room.api.get(room.name, "jobs"):
            conditions = {each["type"] for each in job.get("status", {}).get("conditions", [])}
            if job["metadata"]["name"] != HOOK and conditions & {"Complete", "Failed"}:
                outcome = room.outcome(job["metadata"]["name"])
                if seen(outcome):
                    return outcome
        return None

    return room.api.until("a scheduled run ends so", found)


@pytest.mark.long(65)
def test_a_deleted_collection_is_registered_anew_within_a_period(room: Room) -> None:
    port = room.facts.servers[room.server]
    installed(room, "healed_deleted")
    (before,) = room.stores("healed_deleted")
    delete_store(port, before["id"])
    (after,) = room.api.until("it is there", lambda: room.stores("healed_deleted"))

    assert after["id"] != before["id"]
    assert scheduled(room, lambda outcome: outcome.complete).exit_codes == [0]


@pytest.mark.long(125)
def test_a_second_vector_store_of_the_name_fails_each_run_until_it_is_gone(room: Room) -> None:
    """And no run touches either."""
    port = room.facts.servers[room.server]
    installed(room, "healed_twice")
    second = create_store(port, "healed_twice")
    failed = scheduled(room, lambda outcome: not outcome.complete)

    assert failed.exit_codes == [5]
    assert second in failed.last.message
    assert len(room.stores("healed_twice")) == 2
    delete_store(port, second)
    after = failed.job["metadata"]["creationTimestamp"]
    scheduled(room, lambda outcome: outcome.complete and outcome.job["metadata"]["creationTimestamp"] > after)


class TestLost:
    """A vector store that a restart of the server has lost: with Milvus, on 0.3.5."""

    @pytest.fixture
    def server(self) -> Iterator[stack.Server]:
        """Boot a server with Milvus Lite, of this test alone."""
        with stack.Server("0.3.5", "run-milvus.yaml", edit=stack.for_pods) as server:
            yield server

    @pytest.mark.long(85)
    def test_the_next_run_fails_and_makes_it_anew_where_it_may(
        self, api: Api, tmp_path: Path, server: stack.Server
    ) -> None:
        """Without HOOK_ON_LOST it says what is lost; with it inserts work again, under another address."""
        with Room(api, "healed-lost", tmp_path) as room:
            room.connect("0.3.5", server.port)
            installed(room, "healed_lost")
            (before,) = vector_stores(server.port)
            server.restart()
            failed = scheduled(room, lambda outcome: not outcome.complete)

            assert failed.exit_codes == [5]
            assert '"lost"' in failed.last.message
            content = room.kustomization("self-heal", config=collections("healed_lost"), HOOK_ON_LOST="recreate")
            content["patches"].append({"patch": json.dumps(without_the_job())})
            assert room.apply(content).returncode == 0
            assert room.again().exit_codes == [0]
            assert before["id"] in {store["id"] for store in vector_stores(server.port)}
            assert len(vector_stores(server.port)) == 2


def without_the_job() -> dict[str, Any]:
    """Return the patch that leaves out the hook's own Job, which is immutable."""
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": HOOK}, "$patch": "delete"}
