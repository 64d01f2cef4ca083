"""What the hook does on the real server of every release: one table, release by fact.

Each cell is a check that the server itself confirms, past the hook. `RELEASES="0.3.5 ogx-1.5.0"` picks some.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import lacking
import yaml
from client import (
    DIMENSION,
    MODEL,
    OTHER_PROVIDER,
    PROVIDER,
    WrongError,
    create,
    delete,
    insert,
    insert_and_query,
    is_old,
    model_id,
    must,
    query,
    require,
    run_component,
    run_files_example,
    stores,
)
from edits import DEFAULTS, TOKEN, TokenServer, declare, with_defaults, without_milvus
from hook_runs import Hook, address, collections, ids, one_process
from servers import RELEASES, Server, name, say
from tables import print_table

from hook.registration.remedies import NO_FILE_PROCESSOR

MILVUS_TRIES = 3
HEALTH_SECONDS = 5
"""How long a server that lives may take to say so, while others use the machine."""

NAMES = ("red_hat_docs", "acme_corporate", "eu_ai_act")
DECLARED = "declared_docs"
ALIAS = "HR documents"
METADATA = {"description": "Policies", "pages": 12, "rating": 4.5, "public": True}
AI_ASSETS = {
    "vector_store_id": "vs_7fb9f1c9-4f36-4b5a-8c1b-6b2f3d1d8e11",
    "vector_store_name": ALIAS,
    "provider_id": PROVIDER,
    "embedding_model": MODEL,
    "embedding_dimension": DIMENSION,
    "metadata": METADATA,
}

BOOTED = "boots from its pinned packages"
REGISTERED = "registers three collections, with neither the first provider nor the first model"
AGAIN = "a second run creates nothing, `check` agrees"
ADDRESS = "consumers address a collection by its"
CROWDED = "eight collections more, over 20 connections: the server lives on"
INSERTED = "a chunk inserted under that address is found by a query"
FILED = "a file attached under that address is found by a search, with the official client"
RESTARTED = "all of it still holds after a restart"
DELETED = "a collection deleted behind its back: `check` exits 5, `register` restores it"
WRONG = "a wrong provider, model or dimension: exit 4, nothing created"
DRIFTED = "a collection on another provider: exit 5, nothing changed"
SERVER_MADE = "OpenShift AI's ConfigMap `gen-ai-aa-vector-stores`, its id on no list: exit 5, nothing created"
ALIASED = "the same with a name of one's own as its id: the collection works, and has its alias"
TWICE = "an older empty store and a filled one: exit 5 names both, `--on-duplicate filled` takes the filled one"
LATE = "a model whose endpoint starts after the server: exit 3, and exit 0 where it starts within the budget"
READS = "a provider that takes no inserts (501): exit 0, its collections by a query alone, the others as always"
UNCUT = "no `file_processors`: `register` warns, an attached file fails, and `check` counts it"
DEFAULTED = "without `embedding_model`: exit 4 where the server has several, unless the file names a default"
DECLARATION = "a collection declared in the server's own configuration is"
TOKENED = "a bearer token: without it or with a wrong one exit 4, with it all works"
MILVUS_RESTARTED = "Milvus Lite: after a restart the collections are"
MILVUS_DECLARED = "Milvus Lite: a declared collection survives the restart"
MILVUS_RECREATED = "Milvus Lite: `--on-lost recreate` makes inserts work again, and a further run creates nothing"
MILVUS_BLIND = "Milvus Lite takes a chunk, and no query finds it: `register` exits 3, `check` verifies nothing"
MILVUS_DOWN = "no Milvus there: exit 3, and nothing is left behind"
FACTS = (
    BOOTED,
    REGISTERED,
    AGAIN,
    ADDRESS,
    INSERTED,
    CROWDED,
    FILED,
    RESTARTED,
    DELETED,
    WRONG,
    DRIFTED,
    SERVER_MADE,
    ALIASED,
    DEFAULTED,
    TWICE,
    LATE,
    READS,
    UNCUT,
    DECLARATION,
    TOKENED,
    MILVUS_RESTARTED,
    MILVUS_DECLARED,
    MILVUS_RECREATED,
    MILVUS_BLIND,
    MILVUS_DOWN,
)
FULL_ONLY = (FILED, RESTARTED, DELETED, WRONG, DRIFTED, SERVER_MADE, ALIASED, DEFAULTED, TWICE, DECLARATION, TOKENED)
"""What a release that is there for one fault of its own need not show once more."""
EXIT_CODES = {"present": 0, "lost": 5, "unavailable": 3}
YES, NO, NOT_APPLICABLE = "✓", "✗", "–"
DECLARED_SHOWN = {
    "present": "present, by its name",
    "drifted": "drifted (its provider is ignored)",
    "missing": "missing (ignored)",
}


@dataclass(frozen=True)
class Expected:
    """In what the releases differ."""

    addressed_by: str
    declared: str
    """The state of a collection that the configuration declares: 0.2.12 drops its provider, 0.3.x all of it."""
    milvus_restart: str | None = None
    """The state of a collection on Milvus after a restart; None where no Milvus Lite boots."""
    boots_without_milvus: bool = False
    files: bool = True
    """Whether what is attached to a vector store as a file is found under its address."""
    full: bool = True
    """Whether it shows everything; else only what is new on it."""
    overflows: bool = False
    """Whether its telemetry ends the server where too much is asked at once: 0.2.16, after 1000 events in a second."""
    lacks: bool = False
    """Whether it shows what comes of a server that lacks something."""
    milvus_is_blind: bool = False
    """Whether its Milvus Lite takes inserts that no query finds: 3.0, whose searches 0.5.4 gives `radius: 0.0`."""


EXPECTED = {
    "0.2.12": Expected("name", "drifted", files=False),
    "0.2.16": Expected("name", "present", full=False, overflows=True),
    "0.2.24": Expected("name", "present", "present", files=False),
    "0.3.5": Expected("id", "missing", "lost"),
    "0.4.7": Expected("id", "present", "lost"),
    "0.5.4": Expected("id", "present", full=False, milvus_is_blind=True),
    "0.6.1": Expected("id", "present", full=False),
    "0.7.3": Expected("id", "present", "lost"),
    # Inserts work, but milvus-lite 3.2 answers queries with 500: what nobody can read is of no use.
    "ogx-1.2.5": Expected("id", "present", "unavailable"),
    "ogx-1.5.0": Expected("id", "present", boots_without_milvus=True, lacks=True),
}


def main(arguments: Sequence[str]) -> int:
    """Run the matrix, print it, and return 0 if every cell is right."""
    releases = list(arguments) or os.environ.get("RELEASES", "").replace(",", " ").split() or list(RELEASES)
    unknown = [release for release in releases if release not in RELEASES]
    if unknown:
        say(f"No such release: {', '.join(unknown)}; there are {', '.join(RELEASES)}")
        return 2
    columns = [Column(release) for release in releases]
    # The longest first.
    ordered = sorted(columns, key=lambda column: not column.expected.full)
    return print_table(ordered, Column.fill, lambda: render(columns), whole=releases == list(RELEASES))


def assets(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return OpenShift AI's ConfigMap with this entry."""
    text = yaml.safe_dump({"registered_resources": {"vector_stores": [entry]}})
    metadata = {"name": "gen-ai-aa-vector-stores"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.yaml": text}}


def declare_assets(content: dict[str, Any]) -> None:
    """Declare the entry of OpenShift AI's ConfigMap in a server's own configuration, where it serves such."""
    declared = content.get("registered_resources", {}).get("vector_stores")
    if declared:
        declared.append(declared[0] | {"vector_store_id": AI_ASSETS["vector_store_id"], "vector_store_name": ALIAS})
        declared[-1].pop("provider_vector_store_id")


def render(columns: Sequence["Column"]) -> str:
    """Return the table as markdown."""
    rows = [["", *(name(column.release) for column in columns)], ["---", *(":-:" for _ in columns)]]
    rows += [[fact, *(column.cells[fact] for column in columns)] for fact in FACTS]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


@dataclass
class Column:
    """The facts of one release."""

    release: str
    cells: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def expected(self) -> Expected:
        """Return what this release should do."""
        return EXPECTED[self.release]

    def fill(self) -> None:
        """Check every fact. A fact that no check reached is wrong, too."""
        started = time.monotonic()
        parts = [(self._base, BOOTED)]
        if self.expected.full:
            parts.append((self._guarded, TOKENED))
        if self.expected.milvus_restart is not None:
            parts.append((lambda: self._until_it_lives(self._try_milvus), MILVUS_RESTARTED))
        if self.expected.milvus_is_blind:
            parts.append((lambda: self._until_it_lives(self._try_blind_milvus), MILVUS_BLIND))
        if self.expected.lacks:
            parts.append((self._lack, LATE))
        if self.expected.boots_without_milvus:
            parts.append((self._without_milvus, MILVUS_DOWN))
        for part, first_fact in parts:
            with self.cell(first_fact):
                part()
        self.cells |= dict.fromkeys(self._not_applicable(), NOT_APPLICABLE)
        unchecked = [fact for fact in FACTS if fact not in self.cells]
        if unchecked:
            self.cells |= dict.fromkeys(unchecked, NO)
            self.problems.append(f"{name(self.release)}: because of that, nothing checked: {'; '.join(unchecked)}")
        say(f"{name(self.release)}: {time.monotonic() - started:.0f} s, {len(self.problems)} problems")

    def _not_applicable(self) -> Iterator[str]:
        milvus = self.expected.milvus_restart
        if not self.expected.files:
            yield FILED
        if not self.expected.full:
            yield from FULL_ONLY
        elif self.expected.addressed_by == "name":
            yield TWICE
        if not self.expected.lacks:
            yield from (LATE, READS, UNCUT)
        if not self.expected.overflows:
            yield CROWDED
        if not self.expected.milvus_is_blind:
            yield MILVUS_BLIND
        if milvus is None:
            yield MILVUS_RESTARTED
        if milvus is None or self.expected.declared != "present":
            yield MILVUS_DECLARED
        if milvus != "lost":
            yield MILVUS_RECREATED
        if not self.expected.boots_without_milvus:
            yield MILVUS_DOWN

    @contextmanager
    def cell(self, fact: str, shown: str = YES) -> Iterator[None]:
        """Fill a cell by what happens within; a failure inside of it is noted, and the column goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  whatever a broken hook makes of a cell, the table has to show it
            self._wrong(fact, f"{type(error).__name__}: {error}")
        else:
            self.cells.setdefault(fact, shown)

    def _wrong(self, fact: str, why: str) -> None:
        self.cells[fact] = NO
        self.problems.append(f"{name(self.release)}: {fact}: {why}")

    def _base(self) -> None:
        with Server(self.release, edit=with_defaults) as server, Hook(server, collections(*NAMES)) as hook:
            self.cells[BOOTED] = YES
            with self.cell(REGISTERED):
                registered = hook.expect(0, "registered", "register")
                for store in stores(server).values():
                    require(store["provider"] == PROVIDER, f"the server lists {store}")
                require(ids(registered) == sorted(stores(server)), "the reported ids are not the listed ones")
            with self.cell(AGAIN):
                before = stores(server)
                require(ids(hook.expect(0, "present", "register")) == ids(registered), "the second run has other ids")
                hook.expect(0, "present", "check")
                require(stores(server) == before, "the second run changed the list")
            with self.cell(ADDRESS, self.expected.addressed_by):
                self._check_addresses(hook, registered)
            with self.cell(INSERTED):
                for item in registered:
                    insert_and_query(server, address(item))
                    if not is_old(server):
                        run_component(server, address(item))
            if self.expected.overflows:
                with self.cell(CROWDED):
                    self._crowd(server)
            if not self.expected.full:
                return
            if self.expected.files:
                with self.cell(FILED):
                    run_files_example(server, address(registered[0]))
            with self.cell(RESTARTED):
                server.restart()
                require(ids(hook.expect(0, "present", "check")) == ids(registered), "other ids after the restart")
                require(ids(hook.expect(0, "present", "register")) == ids(registered), "other ids after the restart")
                insert_and_query(server, address(registered[0]))
            with self.cell(DELETED):
                self._delete_one(server, hook, registered)
            with self.cell(WRONG):
                self._ask_for_the_impossible(server)
            with self.cell(DRIFTED):
                self._drift(server)
            with self.cell(SERVER_MADE):
                self._ask_for_a_server_s_id(server)
            with self.cell(ALIASED):
                self._use_an_alias(server)
            if not is_old(server):
                with self.cell(TWICE):
                    self._make_two(server)
            with self.cell(DEFAULTED):
                self._leave_the_model_out(server)

    def _crowd(self, server: Server) -> None:
        with Hook(server, collections(*(f"crowd_{number}" for number in range(8)))) as hook:
            hook.expect(0, "registered", "register")
            hook.expect(0, "present", "check")
        started = time.monotonic()
        must(server.request("GET", "/v1/health"))
        require(time.monotonic() - started < HEALTH_SECONDS, "the server takes long to answer")
        require("Log queue is full" not in server.log.read_text(errors="replace"), "its telemetry has overflown")

    def _check_addresses(self, hook: "Hook", registered: Sequence[Mapping[str, Any]]) -> None:
        for item in registered:
            require(item["addressed_by"] == self.expected.addressed_by, f"the report says {item}")
            require((item["id"] == item["name"]) == (self.expected.addressed_by == "name"), f"the report says {item}")
        resolved = hook.resolve(*NAMES)
        require(resolved == {item["name"]: address(item) for item in registered}, f"`resolve` says {resolved}")

    def _delete_one(self, server: Server, hook: "Hook", registered: Sequence[Mapping[str, Any]]) -> None:
        victim = registered[1]
        kept = {store_id: store for store_id, store in stores(server).items() if store_id != victim["id"]}
        delete(server, victim["id"])
        require(stores(server) == kept, "the delete did not work")
        found = hook.run(5, "check")["collections"]
        require([item["state"] for item in found] == ["present", "missing", "present"], f"check says {found}")
        require(stores(server) == kept, "check changed the list")
        restored = hook.run(0, "register")["collections"]
        states = [item["state"] for item in restored]
        require(states == ["present", "registered", "present"], f"register says {restored}")
        listed = stores(server)
        require(len(listed) == len(NAMES) and kept.items() <= listed.items(), f"the server lists {listed}")
        insert_and_query(server, address(restored[1]))

    def _ask_for_the_impossible(self, server: Server) -> None:
        before = stores(server)
        for wrong in (
            {"provider_id": "no-such-provider"},
            {"embedding_model": "no/such-model"},
            {"embedding_dimension": 384},
        ):
            with one_process(server, collections("wrong_docs", **wrong)) as hook:
                hook.expect(4, "rejected", "register")
                hook.expect(4, "rejected", "check")
            require(stores(server) == before, f"{wrong} changed the list")

    def _drift(self, server: Server) -> None:
        create(server, "drifted_docs", OTHER_PROVIDER)
        before = stores(server)
        require(any(store["provider"] == OTHER_PROVIDER for store in before.values()), f"the server lists {before}")
        with one_process(server, collections("drifted_docs")) as hook:
            for command in ("register", "check"):
                (found,) = hook.expect(5, "drifted", command)
                require(OTHER_PROVIDER in found["detail"], f"{command} does not say what differs: {found}")
        require(stores(server) == before, "the run changed the list")

    def _ask_for_a_server_s_id(self, server: Server) -> None:
        before = stores(server)
        with one_process(server, assets(AI_ASSETS)) as hook:
            for command in ("register", "check"):
                (found,) = hook.run(5, command)["collections"]
                require(found["state"] == "missing" and "restore it" in found["detail"], f"{command} says {found}")
        require(stores(server) == before, "the run changed the list")

    def _use_an_alias(self, server: Server) -> None:
        with one_process(server, assets(AI_ASSETS | {"vector_store_id": "hr_policies"})) as hook:
            (made,) = hook.run(0, "register")["collections"]
            require((made["state"], made["alias"]) == ("registered", ALIAS), f"register says {made}")
            insert_and_query(server, address(made))
            before = stores(server)
            (found,) = hook.run(0, "register")["collections"]
            require((found["state"], found["id"]) == ("present", made["id"]), f"a second run says {found}")
            require(stores(server) == before, "the second run changed the list")
            for each in (ALIAS, made["name"]):
                require(hook.resolve(each) == {each: address(made)}, f"`resolve` says {hook.resolve(each)}")
        if not is_old(server):
            kept = must(server.request("GET", f"/v1/vector_stores/{made['id']}"))["metadata"]
            require(kept == kept | METADATA, f"the server has kept {kept}")

    def _leave_the_model_out(self, server: Server) -> None:
        before = stores(server)
        content: dict[str, Any] = {"vector_dbs": [{"vector_db_id": "default_docs", "provider_id": PROVIDER}]}
        with one_process(server, content) as hook:
            (refused,) = hook.expect(4, "rejected", "register")
            require(MODEL in refused["detail"], f"it does not say which models there are: {refused}")
            require(stores(server) == before, "the refused run changed the list")
        with one_process(server, {"vector_dbs": [{"vector_db_id": "default_docs"}], "vector_stores": DEFAULTS}) as hook:
            (registered,) = hook.expect(0, "registered", "register")
            insert_and_query(server, address(registered))
        if not is_old(server):
            # By name alone, the server's own create makes the same.
            made = must(server.request("POST", "/v1/vector_stores", {"name": "default_docs_too"}))
            ours = must(server.request("GET", f"/v1/vector_stores/{registered['id']}"))
            for each in (made, ours):
                for key in ("id", "name", "created_at", "last_active_at"):
                    each.pop(key)
                for key in ("provider_vector_store_id", "created_by", "declared_as"):
                    each["metadata"].pop(key, None)
            if self.release == "0.3.5":
                # Its own create shows neither; the hook writes both for the next run.
                made["metadata"] |= {"embedding_model": model_id(server), "embedding_dimension": str(DIMENSION)}
            require(made == ours, f"the server's own create makes {made}, the hook's {ours}")

    def _make_two(self, server: Server) -> None:
        with one_process(server, collections("twice_docs")) as hook:
            (empty,) = ids(hook.expect(0, "registered", "register"))
            # Their age is in seconds.
            time.sleep(1.1)
            before = set(stores(server))
            create(server, "twice_docs", PROVIDER)
            (filled,) = set(stores(server)) - before
            require(insert(server, filled).ok, "the server does not take the insert")
            (found,) = hook.expect(5, "duplicated", "register")
            said = (f"{empty} (made ", " by this program, holds nothing)", " by something else, holds data)")
            require(all(each in found["detail"] for each in said), f"register says {found}")
            (found,) = hook.expect(0, "present", "register", "--on-duplicate", "oldest")
            hint = "HOOK_ON_DUPLICATE=filled would use the other"
            require(found["id"] == empty and hint in found["detail"], f"it says {found}")
            (found,) = hook.expect(0, "present", "register", "--on-duplicate", "filled")
            require(found["id"] == filled, f"register says {found}")

    def _lack(self) -> None:
        with lacking.LateEndpoint() as endpoint, Server(self.release, edit=endpoint.configure) as server:
            with self.cell(LATE):
                self._wait_for_a_model(server, endpoint)
            with self.cell(READS):
                self._only_read(server)
            with self.cell(UNCUT), one_process(server, collections("filed_docs")) as hook:
                report = hook.run(0, "register")
                require(NO_FILE_PROCESSOR in report["warnings"], f"register warns of {report['warnings']}")
                with suppress(WrongError):
                    run_files_example(server, address(report["collections"][0]))
                    raise AssertionError("a file can be attached")
                (found,) = hook.expect(0, "present", "check")
                require("1 of its 1 files failed" in found["detail"], f"check says {found}")

    def _wait_for_a_model(self, server: Server, endpoint: lacking.LateEndpoint) -> None:
        model = {"embedding_model": f"{lacking.LATE_PROVIDER}/{lacking.LATE_MODEL}"}
        content = collections("late_docs", embedding_dimension=lacking.LATE_DIMENSION, **model)
        with one_process(server, content) as hook:
            (found,) = hook.expect(3, "unavailable", "register", "--timeout", "12")
            require("does not list the embedding model 'emb/" in found["detail"], f"register says {found}")
            require(not stores(server), "something was created")
            start = threading.Timer(3.0, endpoint.start)
            start.start()
            hook.expect(0, "registered", "register")

    def _only_read(self, server: Server) -> None:
        with one_process(server, collections("nobody", provider_id=lacking.READ_ONLY)) as hook:
            (refused,) = hook.expect(4, "rejected", "register")
            require("takes no inserts" in refused["detail"], f"register says {refused}")
        create(server, "portal", lacking.READ_ONLY)
        entries = [collections("portal", provider_id=lacking.READ_ONLY), collections("notes")]
        with one_process(server, {"vector_dbs": [entry for each in entries for entry in each["vector_dbs"]]}) as hook:
            hook.run(0, "register")
            for command in ("check", "register"):
                portal, notes = hook.expect(0, "present", command)
                require("a query alone" in portal["detail"] and not notes["detail"], f"{command} says {portal}")
                require((portal["verified"], notes["verified"]) == (False, True), f"{command} says {portal}")
            require(insert(server, address(portal)).status_code == 501, "the server takes the insert")
            insert_and_query(server, address(notes))

    def _guarded(self) -> None:
        """Check the declared collection and the token on one server."""

        def edit(content: dict[str, Any]) -> None:
            tokens.guard(self.release)(content)
            declare_assets(content)

        with (
            TokenServer() as tokens,
            Server(self.release, "run-decl.yaml", edit, TOKEN) as server,
            one_process(server, collections(*NAMES)) as hook,
        ):
            with self.cell(TOKENED):
                self._try_tokens(server, hook)
            with (
                self.cell(DECLARATION, DECLARED_SHOWN[self.expected.declared]),
                one_process(server, collections(DECLARED)) as declared,
            ):
                hook_exit = 0 if self.expected.declared == "present" else 5
                (found,) = declared.expect(hook_exit, self.expected.declared, "check", token=TOKEN)
                if self.expected.declared == "present":
                    require(found["id"] == DECLARED and found["addressed_by"] == "name", f"check says {found}")
                    insert_and_query(server, DECLARED)
                    if not is_old(server):
                        with one_process(server, assets(AI_ASSETS)) as hook:
                            (found,) = hook.run(0, "register", token=TOKEN)["collections"]
                            wanted = ("present", AI_ASSETS["vector_store_id"])
                            require((found["state"], found["id"]) == wanted, f"register says {found}")

    def _try_tokens(self, server: Server, hook: "Hook") -> None:
        without = hook.run(4, "register")["message"]
        wrong = hook.run(4, "register", token="a-wrong-token")["message"]
        require("401" in without and "401" in wrong, f"no status in: {without} / {wrong}")
        require("no API key is configured" in without, f"without a token: {without}")
        require("did not accept the API key" in wrong, f"with a wrong token: {wrong}")
        require(not set(NAMES) & {store["name"] for store in stores(server).values()}, "it registered all the same")
        registered = hook.expect(0, "registered", "register", token=TOKEN)
        insert_and_query(server, address(registered[0]))

    def _until_it_lives(self, fill: Callable[[], bool]) -> None:
        """Check Milvus Lite, again where it crashed: that is noted, and says nothing about the hook."""
        kept = dict(self.cells), list(self.problems)
        for _ in range(MILVUS_TRIES):
            self.cells, self.problems = dict(kept[0]), list(kept[1])
            if not fill():
                return
            say(f"{name(self.release)}: Milvus Lite crashed the server")

    def _try_blind_milvus(self) -> bool:
        """Fill the cell of a Milvus that finds nothing, and return whether the server crashed."""
        server = Server(self.release, "run-milvus.yaml")
        with self.cell(MILVUS_BLIND), server, one_process(server, collections(NAMES[0])) as hook:
            with self.cell(MILVUS_BLIND, "unavailable"):
                (found,) = hook.expect(3, "unavailable", "register")
                require("not found by a query" in found["detail"], f"register says {found}")
                require(not stores(server), f"something was created: {stores(server)}")
                create(server, NAMES[0], PROVIDER)
                (made,) = stores(server)
                require(insert(server, made).ok, "the server does not take the insert")
                chunks = must(query(server, made))["chunks"]
                require(not chunks, f"the server's own answer to a query says otherwise: {chunks}")
                said = hook.run(0, "check")["message"]
                require("1 unverified" in said, f"check says of the full one: {said}")
            return server.ended_by_itself()
        return False

    def _try_milvus(self) -> bool:
        """Fill the Milvus cells, and return whether the server crashed."""
        server = Server(self.release, "run-milvus.yaml", declare(self.release))
        with self.cell(MILVUS_RESTARTED), server, one_process(server, collections(*NAMES)) as hook:
            state = str(self.expected.milvus_restart)
            with self.cell(MILVUS_RESTARTED, state):
                registered = hook.expect(0, "registered", "register")
                insert_and_query(server, address(registered[0]))
                server.restart()
                before = stores(server)
                found = hook.expect(EXIT_CODES[state], state, "check")
                require(ids(found) == ids(registered), f"check says {found}")
                found = hook.expect(EXIT_CODES[state], state, "register")
                require(stores(server) == before, "register changed the list")
                lost = insert(server, address(registered[0])).status_code == 404
                require(lost == (state == "lost"), "the server's own answer to an insert says otherwise")
                readable = query(server, address(registered[0])).ok
                require(readable == (state == "present"), "the server's own answer to a query says otherwise")
            if self.expected.declared == "present":
                survived = "unavailable" if state == "unavailable" else "present"
                shown = YES if survived == "present" else survived
                with self.cell(MILVUS_DECLARED, shown), one_process(server, collections(DECLARED)) as declared:
                    declared.expect(EXIT_CODES[survived], survived, "check")
                    inserted = insert(server, DECLARED)
                    require(inserted.ok, f"the insert answered {inserted.status_code}: {inserted.text}")
            if state == "lost":
                with self.cell(MILVUS_RECREATED):
                    self._recreate(server, hook, registered)
            return server.ended_by_itself()
        return False

    def _recreate(self, server: Server, hook: "Hook", registered: Sequence[Mapping[str, Any]]) -> None:
        recreated = hook.expect(0, "registered", "register", "--on-lost", "recreate")
        for old, new in zip(registered, recreated, strict=True):
            require(new["id"] != old["id"] and new["lost_ids"] == [old["id"]], f"register says {new}")
            insert_and_query(server, address(new))
        before = stores(server)
        require(set(before) - {DECLARED} == {*ids(registered), *ids(recreated)}, f"the server lists {before}")
        for options in ((), ("--on-lost", "recreate")):
            require(
                ids(hook.expect(0, "present", "register", *options)) == ids(recreated), "the further run has other ids"
            )
        require(ids(hook.expect(0, "present", "check")) == ids(recreated), "check has other ids")
        require(stores(server) == before, "the further run changed the list")

    def _without_milvus(self) -> None:
        with Server(self.release, edit=without_milvus) as server, one_process(server, collections(*NAMES)) as hook:
            hook.run(3, "register")
            posts = server.log.read_text().count('"POST /v1/vector_stores HTTP')
            require(posts == 1, f"the server's log counts {posts} attempts")
            require(not stores(server), f"the server lists {stores(server)}")
            self.cells[MILVUS_DOWN] = f"{posts} attempt{'' if posts == 1 else 's'}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
