"""`components/self-heal`: the CronJob runs by itself, and finds what has happened between two syncs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import stack
from tests.cluster.kube import HOOK, Api, Room, collections, create_store, delete_store, vector_stores


def installed(room: Room, name: str, **settings: str) -> None:
    """Install it with one collection, and with a run each minute."""
    assert room.apply(minutely(room, name, **settings)).returncode == 0
    assert room.outcome().exit_codes == [0]


def minutely(room: Room, name: str, **settings: str) -> dict[str, Any]:
    """Return its kustomization."""
    content = room.kustomization("self-heal", config=collections(name), **settings)
    schedule = '[{"op": "replace", "path": "/spec/schedule", "value": "* * * * *"}]'
    content["patches"].append({"target": {"kind": "CronJob"}, "patch": schedule})
    return content


@pytest.mark.long(65)
def test_a_deleted_collection_is_registered_anew_within_a_period(room: Room) -> None:
    port = room.facts.servers[room.server]
    installed(room, "healed_deleted")
    (before,) = room.stores("healed_deleted")
    runs_before = {job["metadata"]["name"] for job in room.scheduled_jobs()}
    delete_store(port, before["id"])
    (after,) = room.api.until("it is there", lambda: room.stores("healed_deleted"))
    runs = {job["metadata"]["name"] for job in room.scheduled_jobs()} - runs_before

    assert after["id"] != before["id"]
    assert len(runs) <= 1
    assert room.scheduled(lambda outcome: after["id"] in outcome.last.message).exit_codes == [0]


@pytest.mark.long(125)
def test_a_second_store_of_the_name_fails_each_run_while_there(room: Room) -> None:
    """And no run touches either."""
    port = room.facts.servers[room.server]
    installed(room, "healed_twice")
    second = create_store(port, "healed_twice")
    failed = room.scheduled(lambda outcome: not outcome.complete)

    assert failed.exit_codes == [5]
    assert second in failed.last.message
    assert len(room.stores("healed_twice")) == 2
    delete_store(port, second)
    room.scheduled(lambda outcome: outcome.complete and outcome.began > failed.began)


class TestLost:
    """A vector store that a restart of the server has lost: with Milvus, on 0.3.5."""

    @pytest.fixture
    def server(self) -> Iterator[stack.Server]:
        """Boot a server with Milvus Lite, of this test alone."""
        with stack.Server("0.3.5", "run-milvus.yaml", edit=stack.for_pods) as server:
            yield server

    @pytest.mark.long(145)
    def test_the_next_run_fails_and_makes_it_anew_where_it_may(
        self, api: Api, tmp_path: Path, server: stack.Server
    ) -> None:
        """Without HOOK_ON_LOST it says what is lost; with it inserts work again, under another address."""
        with Room(api, "healed-lost", tmp_path) as room:
            room.connect("0.3.5", server.port)
            installed(room, "healed_lost")
            (before,) = vector_stores(server.port)
            server.restart()
            failed = room.scheduled(lambda outcome: not outcome.complete)

            assert failed.exit_codes == [5]
            assert '"lost"' in failed.last.message
            content = minutely(room, "healed_lost", HOOK_ON_LOST="recreate")
            content["patches"].append({"patch": json.dumps(without_the_job())})
            assert room.apply(content).returncode == 0
            made = room.scheduled(lambda outcome: outcome.complete and outcome.began > failed.began)
            # The next run may have its throw-away vector store there, too.
            stores = {store["id"] for store in vector_stores(server.port) if store["name"] == "healed_lost"}
            (after,) = stores - {before["id"]}

            assert after in made.last.message
            assert before["id"] in stores
            stack.insert_and_query(server, after)


def without_the_job() -> dict[str, Any]:
    """Return the patch that leaves out the hook's own Job, which is immutable."""
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": HOOK}, "$patch": "delete"}
