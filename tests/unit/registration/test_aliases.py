"""Collections with a second name: they are found, created, resolved and published by either."""

import json
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hook.app import main
from tests.fake_llamastack import CANARY, GRANITE_ID, FakeLlamaStack
from tests.unit.config.test_files_as_they_are import AI_ASSETS
from tests.unit.conftest import Outcome, Run, Waits, entries

SERVER_MADE = "vs_7fb9f1c9-4f36-4b5a-8c1b-6b2f3d1d8e11"
ID = "hr_policies"
ALIAS = "HR documents"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "assets.yaml"
    path.write_text(AI_ASSETS.replace(SERVER_MADE, ID))
    return path


Ask = Callable[..., Outcome]


@pytest.fixture
def ask(server: FakeLlamaStack, run: Run, config: Path) -> Ask:
    """Return a function that runs the hook on Red Hat's ConfigMap."""
    return lambda *flags: run(server.url, *flags, config=str(config))


def only(outcome: Outcome) -> Any:
    (found,) = outcome.report["collections"]
    return found


@pytest.mark.parametrize("name", ["HR documents", "any other name", ID])
def test_the_store_of_the_declared_id_is_the_collection(server: FakeLlamaStack, ask: Ask, name: str) -> None:
    """Whatever it is called on the server; nothing is created."""
    server.add(name, id=ID)

    outcome = ask("register")

    assert outcome.exit_code == 0
    found = only(outcome)
    assert (found["name"], found["alias"], found["id"], found["state"]) == (ID, ALIAS, ID, "present")
    assert len(server.stores) == 1


def test_one_created_under_its_alias_is_found_by_it(server: FakeLlamaStack, ask: Ask) -> None:
    """The server makes up the id; a second run makes no second one."""
    outcome = ask("register")
    found = only(outcome)

    assert (outcome.exit_code, found["state"], server.names()) == (0, "registered", [ALIAS])
    assert found["id"] == server.stores[0]["id"] != ID
    assert only(ask("register"))["state"] == "present"
    assert only(ask("check"))["id"] == found["id"]
    assert server.names() == [ALIAS]


def test_one_that_was_created_under_the_declared_id_is_found(server: FakeLlamaStack, ask: Ask) -> None:
    found = server.add(ID)

    assert only(ask("register"))["id"] == found


def test_the_declared_id_comes_before_others_of_the_alias(server: FakeLlamaStack, ask: Ask) -> None:
    """People may give any vector store that name; the id says which one is meant."""
    server.add(ALIAS)
    server.add(ALIAS, id=ID)

    outcome = ask("check")

    assert (outcome.exit_code, only(outcome)["id"]) == (0, ID)


def test_two_of_an_alias_without_the_declared_id_are_duplicates(server: FakeLlamaStack, ask: Ask) -> None:
    server.add(ALIAS)
    server.add(ALIAS)

    outcome = ask("register")

    assert (outcome.exit_code, only(outcome)["state"], len(server.stores)) == (5, "duplicated", 2)


def test_a_lost_one_is_made_anew_once(server: FakeLlamaStack, ask: Ask) -> None:
    server.lost_ids.add(server.add(ALIAS, id=ID))

    first = only(ask("register", "--on-lost", "recreate"))
    second = only(ask("register", "--on-lost", "recreate"))

    assert (first["state"], second["state"]) == ("registered", "present")
    assert first["id"] == second["id"] != ID
    assert len(server.stores) == 2


@pytest.mark.parametrize("alias", [None, "People and culture"])
def test_an_alias_can_be_changed_without_a_second_store(
    server: FakeLlamaStack, ask: Ask, config: Path, alias: str | None
) -> None:
    """It is a label for people; what this program made for the id is known by its metadata."""
    made = only(ask("register"))["id"]
    before = config.read_text()
    (label,) = [each for each in before.splitlines(keepends=True) if "vector_store_name" in each]
    config.write_text(before.replace(label, "" if alias is None else label.replace(ALIAS, alias)))

    found = only(ask("register"))

    assert (found["state"], found["id"], found["alias"]) == ("present", made, alias)
    assert len(server.stores) == 1


@pytest.mark.parametrize("other", [{}, {"provider_id": "__disabled__"}], ids=["without-alias", "disabled"])
def test_an_alias_that_moves_takes_no_store_along(
    server: FakeLlamaStack, run: Run, tmp_path: Path, other: dict[str, str]
) -> None:
    """What was made for one collection is not the other's, whether the first is asked for or not."""
    config = tmp_path / "moved.yaml"
    common = {"provider_id": "milvus-shared", "embedding_model": GRANITE_ID}

    def declare(*collections: dict[str, str]) -> None:
        entries = [common | each for each in collections]
        config.write_text(json.dumps({"registered_resources": {"vector_stores": entries}}))

    declare({"vector_store_id": "x", "vector_store_name": "Docs"})
    made = only(run(server.url, config=str(config)))["id"]
    declare({"vector_store_id": "x"} | other, {"vector_store_id": "y", "vector_store_name": "Docs"})

    assert main(["resolve", "y", "--url", server.url, "--config", str(config), "--connections", "1"], {}) == 5
    found = run(server.url, config=str(config)).report["collections"]

    assert [each["state"] for each in found] == ["disabled" if other else "present", "registered"]
    assert found[1]["id"] != made


def test_the_declared_one_replaces_nothing_silently(server: FakeLlamaStack, ask: Ask, waits: Waits) -> None:
    """As where LlamaStack begins to register what its file declares: the one before may hold the data."""
    waits.set(bystander_seconds=0.3)
    made = only(ask("register"))["id"]
    server.add(ALIAS, id=ID)

    outcome = ask("register")

    assert (outcome.exit_code, only(outcome)["state"]) == (5, "duplicated")
    assert made in only(outcome)["detail"]


def test_anothers_store_does_not_stand_in_for_a_lost_one(server: FakeLlamaStack, ask: Ask) -> None:
    """It only happens to have the alias as its name."""
    server.lost_ids.add(server.add(ALIAS, id=ID))
    server.add(ALIAS)

    outcome = ask("register")

    assert (outcome.exit_code, only(outcome)["state"], only(outcome)["id"]) == (5, "lost", ID)


def test_what_anybody_writes_into_metadata_makes_nothing_ours(server: FakeLlamaStack, ask: Ask) -> None:
    server.add("something else")
    server.stores[0]["metadata"]["declared_as"] = ID

    assert only(ask("check"))["state"] == "missing"


def test_a_repeated_create_keeps_the_id_that_is_there(run: Run, config: Path) -> None:
    """Up to 0.2.24: under the declared id it would make another one, empty, which would be taken from then on."""
    with FakeLlamaStack("dbs") as server:
        run(server.url, collections=entries(ALIAS))
        server.dead_ids.add(ALIAS)
        outcome = run(server.url, config=str(config))
        created = [request.body["vector_db_id"] for request in server.requests if request.line == "POST /v1/vector-dbs"]

        assert only(outcome)["id"] == ALIAS
        assert set(created) == {ALIAS}
        assert server.names() == [ALIAS]


CHANGES: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "NFC": partial(unicodedata.normalize, "NFC"),
    "cut": lambda name: name[:5],
    "renamed by a person": lambda _: "HR",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_server_that_changes_names_gets_no_second_store(server: FakeLlamaStack, run: Run, what: str) -> None:
    """What this program made is known by its metadata, also where it has no alias."""
    names = ("Red_Hat_Docs", "Re\u0301sume\u0301s", "Red_Hat_Laws")

    def create(handler: Any) -> None:
        body = handler.taken.body
        handler.reply(*handler._create(body | {"name": CHANGES[what](body["name"])}))

    server.fault("POST /v1/vector_stores", create)

    first, second = run(server.url, collections=entries(*names)), run(server.url, collections=entries(*names))

    assert (first.exit_code, first.states) == (0, ["registered"] * 3)
    assert (second.exit_code, second.states) == (0, ["present"] * 3)
    ids = [store["id"] for store in server.stores]
    assert [found["id"] for found in second.report["collections"]] == ids


def test_a_foreign_store_of_the_name_is_the_collection(server: FakeLlamaStack, run: Run, waits: Waits) -> None:
    """As it always was; and two are duplicates, whoever made them."""
    waits.set(bystander_seconds=0.3)
    foreign = server.add("red_hat_docs")

    first = run(server.url, collections=entries("red_hat_docs"))
    server.add("renamed", run_id="an earlier one", declared_as="red_hat_docs")
    second = run(server.url, collections=entries("red_hat_docs"))

    assert (first.states, only(first)["id"]) == (["present"], foreign)
    assert (second.exit_code, second.states) == (5, ["duplicated"])
    assert len(server.stores) == 2


def test_metadata_are_passed_on_and_ours_stay_ours(server: FakeLlamaStack, ask: Ask) -> None:
    ask("register")

    (create,) = [request for request in server.requests if request.line == "POST /v1/vector_stores"]
    metadata = create.body["metadata"]
    assert metadata.pop("created_by").startswith("register-collections ")
    assert metadata == {
        "declared_as": ID,
        "description": "Policies, for everyone",
        "pages": 12,
        "public": True,
        "rating": 4.5,
        "embedding_model": GRANITE_ID,
        "embedding_dimension": "768",
    }


def test_the_older_dialect_takes_the_id_alone(run: Run, config: Path) -> None:
    """It has no field for them."""
    with FakeLlamaStack("dbs") as server:
        outcome = run(server.url, config=str(config))
        (create,) = [request for request in server.requests if request.line == "POST /v1/vector-dbs"]

    assert only(outcome)["id"] == create.body["vector_db_id"] == ID
    assert not {"metadata", "name"} & create.body.keys()


def test_the_throw_away_store_has_its_own_name(server: FakeLlamaStack, ask: Ask) -> None:
    """And not the alias, under which it would be taken for the collection."""
    server.provider_type, server.version = "remote::milvus", "0.7.3"

    assert ask("register").exit_code == 0
    created = [request.body for request in server.requests if request.line == "POST /v1/vector_stores"]
    assert [body["name"].startswith(CANARY) for body in created] == [True, False]
    assert "description" not in created[0]["metadata"]
    assert server.names() == [ALIAS]


@pytest.mark.parametrize("label", [ALIAS, ID])
def test_it_is_resolved_by_either_name(
    server: FakeLlamaStack, config: Path, capsys: pytest.CaptureFixture[str], label: str
) -> None:
    store_id = server.add(ALIAS)
    flags = ["--url", server.url, "--config", str(config), "--connections", "1"]

    assert main(["resolve", label, *flags], {}) == 0
    assert capsys.readouterr().out == f"{store_id}\n"
    assert main(["resolve", label, *flags, "--output", "json"], {}) == 0
    assert json.loads(capsys.readouterr().out) == {label: store_id}


def test_both_names_are_in_the_file(server: FakeLlamaStack, config: Path, tmp_path: Path) -> None:
    flags = ["--url", server.url, "--config", str(config), "--connections", "1"]
    server.add(ALIAS, id=ID)

    assert main(["resolve", *flags, "--to", str(tmp_path / "env")], {}) == 0
    assert (tmp_path / "env").read_text().splitlines() == [
        f"VECTOR_STORE_HR_POLICIES={ID}",
        f"VECTOR_STORE_HR_DOCUMENTS={ID}",
    ]


def test_a_person_sees_both(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["validate", "--config", str(config), "--output", "text"], {})

    assert f"{ID} (HR documents)  valid" in capsys.readouterr().out


class TestAnIdThatAServerMade:
    """Red Hat's own form for stores that another pipeline has filled."""

    @pytest.fixture
    def config(self, tmp_path: Path) -> Path:
        path = tmp_path / "assets.yaml"
        path.write_text(AI_ASSETS)
        return path

    @pytest.mark.parametrize("generation", ["dbs", "0.3", "0.7"])
    @pytest.mark.parametrize("command", ["register", "check"])
    def test_it_is_missing_and_nothing_is_created(self, run: Run, config: Path, generation: Any, command: str) -> None:
        """A new one would be empty, and from 0.2.15 on under another id."""
        with FakeLlamaStack(generation) as server:
            outcome = run(server.url, command, config=str(config))

        assert (outcome.exit_code, outcome.states, server.stores) == (5, ["missing"], [])
        assert outcome.detail(SERVER_MADE) == (
            f"{SERVER_MADE} is an id that a server made, and this server does not have it: restore it, declare it in "
            "the server's own configuration (0.4.3 and newer), or give the collection a name of your own"
        )

    def test_it_is_proven_where_the_server_has_it(self, server: FakeLlamaStack, ask: Ask) -> None:
        server.add("any name", id=SERVER_MADE)

        outcome = ask("register")

        assert (outcome.exit_code, only(outcome)["id"], only(outcome)["verified"]) == (0, SERVER_MADE, True)

    @pytest.mark.parametrize(
        "made", [{"name": ALIAS}, {"name": SERVER_MADE}, {"name": "x", "run_id": "r", "declared_as": SERVER_MADE}]
    )
    def test_no_store_of_its_names_stands_for_it(self, server: FakeLlamaStack, ask: Ask, made: dict[str, Any]) -> None:
        """It may be the empty one that somebody made in its place."""
        other = server.add(**made)

        outcome = ask("register")

        assert (outcome.exit_code, outcome.states, len(server.stores)) == (5, ["missing"], 1)
        assert f"the server has '{other}' for that name: if one of them is meant, declare its id" in outcome.detail(
            SERVER_MADE
        )

    def test_a_lost_one_is_never_recreated(self, server: FakeLlamaStack, ask: Ask) -> None:
        """The new one would have another id, and the address that everybody knows would stay dead."""
        server.lost_ids.add(server.add(ALIAS, id=SERVER_MADE))

        outcome = ask("register", "--on-lost", "recreate")

        assert (outcome.exit_code, outcome.states, len(server.stores)) == (5, ["lost"], 1)
        assert "or give the collection a name of your own: nothing takes the place of" in outcome.detail(SERVER_MADE)

    def test_what_fails_besides_does_not_hide_it(self, server: FakeLlamaStack, run: Run) -> None:
        """Bringing the backend back would not bring it back."""
        server.dead_provider_ids.add("milvus-shared")

        outcome = run(server.url, collections=entries("docs", SERVER_MADE))

        assert (outcome.exit_code, outcome.states) == (5, ["unavailable", "missing"])

    @pytest.mark.parametrize("name", [SERVER_MADE.upper(), "vs_" + "0af" * 8, "vs_" + "9b" * 16])
    def test_other_spellings_are_server_made(self, server: FakeLlamaStack, run: Run, name: str) -> None:
        """Copied from elsewhere, and OpenAI's own form."""
        assert run(server.url, collections=entries(name)).states == ["missing"]

    @pytest.mark.parametrize("name", ["vs_docs", "vs_2024", "docs_" + SERVER_MADE, SERVER_MADE + "_v2"])
    def test_a_name_that_only_begins_so_is_ones_own(self, server: FakeLlamaStack, run: Run, name: str) -> None:
        assert run(server.url, collections=entries(name)).states == ["registered"]
