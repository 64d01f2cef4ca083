"""The decisions, case by case, without a server."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from hook.domain import (
    Collection,
    Finding,
    Model,
    Observation,
    Proof,
    Provider,
    State,
    Target,
    VectorStore,
    Verdict,
    exit_code,
)
from hook.errors import ExitCode, RefusedError
from hook.llamastack.releases import FIRST_DECLARED, Release, parse_release
from hook.registration.journal import Created, Journal, Tried
from hook.registration.judge import Judge
from hook.registration.resolve import resolve

GRANITE = Model("st/granite", "granite", 768)
MINILM = Model("st/minilm", "minilm", 384)
MILVUS, FAISS = Provider("milvus", "milvus"), Provider("faiss", "faiss")
TARGET = Target("docs", MILVUS, GRANITE, 768)
ALIVE = Proof(Verdict.ALIVE)


def store(store_id: str = "vs_1", name: str = "docs", created_at: int = 1, **fields: Any) -> VectorStore:
    """Return a vector store that is as `TARGET` wants it, but for the given fields."""
    right: dict[str, Any] = {
        "status": "completed",
        "provider_id": "milvus",
        "embedding_model": "st/granite",
        "embedding_dimension": "768",
    }
    return VectorStore(store_id, name, created_at=created_at, **(right | fields))


def compare(*stores: VectorStore, on_duplicate: str = "fail", **lives: Proof) -> Finding:
    """Return the finding for `TARGET`, all stores being alive unless told otherwise."""
    proofs = {each.id: lives.get(each.id, ALIVE) for each in stores}
    look = Observation(1, stores, {each.id: 1 for each in stores}, proofs)
    return Judge(on_duplicate=on_duplicate).findings([TARGET], look, Journal("this run"))["docs"]


@pytest.mark.parametrize(
    "configured",
    ["st/granite", "granite"],
    ids=["whole-id", "provider-resource-id"],
)
def test_a_model_is_found_by_id_or_by_its_provider_s_name(configured: str) -> None:
    """Configurations of different ages write the same model differently."""
    assert resolve(Collection("docs", configured, "milvus", 768), [MINILM, GRANITE], [FAISS, MILVUS]) == TARGET


def test_a_model_is_found_by_the_end_of_its_id() -> None:
    """Where the server does not tell the provider's name, the only id that ends with it is meant."""
    model = Model("st/ibm/granite", None, 768)

    assert resolve(Collection("docs", "ibm/granite"), [MINILM, model], [MILVUS]).model == model


@pytest.mark.parametrize("configured", ["None/granite", "None/None", "/granite"])
def test_a_provider_that_the_server_does_not_say_is_no_text(configured: str) -> None:
    """Whatever Python calls what is not there."""
    with pytest.raises(RefusedError, match="the server has no embedding model"):
        resolve(Collection("docs", configured), [Model("granite", "granite", 768)], [MILVUS])


def test_what_is_not_configured_is_the_only_possibility() -> None:
    """One provider and the model's own dimension leave nothing to choose."""
    assert resolve(Collection("docs", "granite"), [GRANITE], [MILVUS]) == TARGET


def test_a_dimension_that_the_server_does_not_say_is_configured() -> None:
    found = resolve(Collection("docs", "granite", embedding_dimension=512), [Model("granite", None, None)], [MILVUS])

    assert found.embedding_dimension == 512


def test_the_only_model_needs_no_name() -> None:
    assert resolve(Collection("docs"), [GRANITE], [MILVUS]) == TARGET


def test_of_several_models_the_file_s_default_is_taken() -> None:
    collection = Collection("docs", default_embedding_model="st/granite")

    assert resolve(collection, [MINILM, GRANITE], [MILVUS]) == TARGET


def test_of_several_providers_the_file_s_default_is_taken() -> None:
    collection = Collection("docs", "granite", default_provider_id="milvus")

    assert resolve(collection, [GRANITE], [FAISS, MILVUS]) == TARGET


def test_the_only_provider_is_taken_whatever_the_default_is() -> None:
    """As the server itself does it (ogx 1.5.0)."""
    assert resolve(Collection("docs", "granite", default_provider_id="faiss"), [GRANITE], [MILVUS]) == TARGET


@pytest.mark.parametrize("model", [None, "granite", "st/granite"])
def test_the_default_model_has_the_dimension_of_the_file(model: str | None) -> None:
    """Also where an entry names that model; the server may not say the dimension."""
    collection = Collection("docs", model, default_embedding_model="st/granite", default_embedding_dimension=512)
    models = [MINILM, replace(GRANITE, embedding_dimension=None)]

    assert resolve(collection, models, [MILVUS]).embedding_dimension == 512


def test_another_model_has_its_own_dimension() -> None:
    """The server would take the default model's, and no vector would fit."""
    collection = Collection("docs", "minilm", default_embedding_model="st/granite", default_embedding_dimension=768)

    assert resolve(collection, [MINILM, GRANITE], [MILVUS]).embedding_dimension == MINILM.embedding_dimension


def test_the_dimension_of_an_entry_comes_first() -> None:
    collection = Collection(
        "docs", embedding_dimension=768, default_embedding_model="st/granite", default_embedding_dimension=512
    )

    assert resolve(collection, [MINILM, GRANITE], [MILVUS]) == TARGET


def test_what_a_new_one_gets_besides_goes_with_the_target() -> None:
    found = resolve(Collection("docs", "granite", alias="Documents", metadata={"a": 1}), [GRANITE], [MILVUS])

    assert (found.alias, found.metadata) == ("Documents", {"a": 1})


@pytest.mark.parametrize(
    ("collection", "models", "providers", "expected"),
    [
        (
            Collection("docs", "granite", "nope"),
            [GRANITE],
            [FAISS, MILVUS],
            "the server has no vector_io provider 'nope'; set one of 'faiss', 'milvus'",
        ),
        (
            Collection("docs", "granite"),
            [GRANITE],
            [FAISS, MILVUS],
            "set provider_id, here or as vector_stores.default_provider_id: the server has 2 vector_io providers "
            "('faiss', 'milvus')",
        ),
        (
            Collection("docs", "granite", default_provider_id="nope"),
            [GRANITE],
            [FAISS, MILVUS],
            "the server has no vector_io provider 'nope', the file's vector_stores.default_provider_id; set one of "
            "'faiss', 'milvus'",
        ),
        (
            Collection("docs", default_embedding_model="st/granite", default_embedding_dimension=512),
            [MINILM, GRANITE],
            [MILVUS],
            "vector_stores.default_embedding_model.embedding_dimensions is 512, but the model 'st/granite' makes "
            "vectors of 768: every insert would fail; configure 768, or another model",
        ),
        (
            Collection("docs", "granite"),
            [GRANITE],
            [],
            "the server has no vector_io provider; add one to LlamaStack's own configuration",
        ),
        (
            Collection("docs"),
            [MINILM, GRANITE],
            [MILVUS],
            "set embedding_model, here or as vector_stores.default_embedding_model: the server has 2 embedding models "
            "('st/minilm', 'st/granite')",
        ),
        (
            Collection("docs"),
            [],
            [MILVUS],
            "the server has no embedding model; add one to LlamaStack's own configuration",
        ),
        (
            Collection("docs", default_embedding_model="st/nope"),
            [MINILM, GRANITE],
            [MILVUS],
            "the server has no embedding model 'st/nope', the file's vector_stores.default_embedding_model; set one of "
            "'st/minilm', 'st/granite'",
        ),
        (
            Collection("docs", "nope"),
            [MINILM, GRANITE],
            [MILVUS],
            "the server has no embedding model 'nope'; set one of 'st/minilm', 'st/granite'",
        ),
        (
            Collection("docs", "granite"),
            [GRANITE, Model("other/granite", "granite", 768)],
            [MILVUS],
            "the embedding model 'granite' could be any of 'st/granite', 'other/granite': configure the whole id",
        ),
        (
            Collection("docs", "granite", "milvus", 384),
            [GRANITE],
            [MILVUS],
            "embedding_dimension is 384, but the model 'st/granite' makes vectors of 768: every insert would fail; "
            "configure 768, or another model",
        ),
        (
            Collection("docs", "granite"),
            [Model("granite", None, None)],
            [MILVUS],
            "the server does not say the dimension of 'granite': configure embedding_dimension",
        ),
    ],
)
def test_no_one_right_answer_is_refused(
    collection: Collection, models: list[Model], providers: list[Provider], expected: str
) -> None:
    """The hook never lets the server choose, and says what there is to choose from."""
    with pytest.raises(RefusedError) as caught:
        resolve(collection, models, providers)

    assert str(caught.value) == expected


def test_no_store_is_missing() -> None:
    """A store of another name does not count."""
    finding = compare(store(name="other"))

    assert (finding.state, finding.id, finding.addressed_by) == (State.MISSING, None, None)


def test_a_store_of_that_name_is_present() -> None:
    """Consumers must use its id."""
    finding = compare(store(), store("vs_2", "other"))

    assert finding == Finding("docs", State.PRESENT, "vs_1")
    assert finding.addressed_by == "id"


def test_files_that_failed_are_counted() -> None:
    """The store works, and what people attached to it is not in it."""
    finding = compare(store(files=3, files_failed=2))

    assert finding.state is State.PRESENT
    assert finding.detail == "2 of its 3 files failed (GET /v1/vector_stores/ID/files says why)"


def test_a_store_of_that_id_is_present() -> None:
    """A store that the server's configuration declares has the name as its id, and resolves by it."""
    finding = compare(store("docs", "Documents"))

    assert (finding.state, finding.addressed_by) == (State.PRESENT, "name")


def test_a_model_may_be_shown_by_its_provider_s_name() -> None:
    """Older releases show the model as it was given."""
    assert compare(store(embedding_model="granite")).state is State.PRESENT


def test_what_is_not_shown_cannot_drift_but_is_noted() -> None:
    """The list of 0.3.5 shows neither model nor dimension of a store that others made."""
    finding = compare(store(embedding_model=None, embedding_dimension=None, provider_id=None, status=None))

    assert finding == Finding(
        "docs", State.PRESENT, "vs_1", "the server does not show its provider_id, embedding_model, embedding_dimension"
    )


@pytest.mark.parametrize(
    ("field", "found", "wanted"),
    [
        ("status", "expired", "completed"),
        ("provider_id", "faiss", "milvus"),
        ("embedding_model", "st/minilm", "st/granite"),
        ("embedding_dimension", "384", "768"),
        ("embedding_dimension", "many", "768"),
    ],
)
def test_a_difference_is_drift(field: str, found: str, wanted: str) -> None:
    """Each field that the server shows is compared, and the next step is said."""
    shown: dict[str, Any] = {field: found}
    finding = compare(store(**shown))

    assert finding.state is State.DRIFTED
    assert finding.id == "vs_1"
    remedy = "correct the configuration, or delete the vector store with its data and run `register`"
    differs = f"{field}: the server has '{found}', your file says '{wanted}'"
    if field == "status":
        differs = f"status is '{found}', not '{wanted}'"
    assert finding.detail == f"{differs}; {remedy}"


def test_the_dimension_that_inserts_want_is_compared_too() -> None:
    """The proof tells the truth where metadata does not."""
    finding = compare(store(embedding_dimension=None), vs_1=Proof(Verdict.ALIVE, embedding_dimension=100))

    assert finding.state is State.DRIFTED
    assert finding.detail.startswith("inserts expect length 100, not 768; ")


def test_a_dead_store_is_lost() -> None:
    """Being listed is not enough, and the message has the remedies."""
    finding = compare(store(), vs_1=Proof(Verdict.LOST, "404 it said"))

    assert (finding.state, finding.id, finding.lost_ids) == (State.LOST, "vs_1", ("vs_1",))
    assert finding.addressed_by is None
    assert "every insert fails (404 it said)" in finding.detail
    assert "registered_resources.vector_stores (0.4.3 and newer), upgrade to ogx 1.2.4 or newer, or" in finding.detail


def test_a_live_store_stands_for_the_dead_ones_of_its_name() -> None:
    """After a re-creation the dead one stays in the list, and is only noted."""
    finding = compare(store("vs_1"), store("vs_2", created_at=2), vs_1=Proof(Verdict.LOST))

    assert finding == Finding("docs", State.PRESENT, "vs_2", "lost, and not changed: 'vs_1'", ("vs_1",))


def test_a_proof_that_proves_nothing_is_noted() -> None:
    """Milvus up to 0.7.3 answers the same without a chunk as without a backend."""
    finding = compare(store(), vs_1=Proof(Verdict.UNDECIDED, "500"))

    assert (finding.state, finding.unverified) == (State.PRESENT, True)
    assert finding.detail.startswith("unverified: on this release an empty store cannot be told from one ")


def test_what_some_processes_know_is_divided() -> None:
    """Half of the inserts fail."""
    finding = compare(store(), vs_1=Proof(Verdict.DIVIDED, "9 of 20 connections: 404"))

    assert (finding.state, finding.id, finding.addressed_by) == (State.DIVIDED, "vs_1", None)
    assert "(9 of 20 connections: 404)" in finding.detail
    assert "one worker and one replica" in finding.detail


def test_what_each_process_made_for_itself_is_duplicated() -> None:
    """It is told now, and not after the next restart, which shows both to all."""
    divided = Proof(Verdict.DIVIDED, "9 of 20")

    assert compare(store(), store("vs_2", created_at=2), vs_1=divided, vs_2=divided).state is State.DUPLICATED


def test_the_oldest_of_one_second_is_what_the_list_has_first() -> None:
    """As for runs at the same instant, of which the others withdraw their own."""
    assert compare(store("vs_2"), store("vs_1"), on_duplicate="oldest").id == "vs_2"


def test_only_lists_that_differ_are_a_note() -> None:
    """0.7.3 with a shared backend: every process takes inserts, and each lists what it made itself."""
    look = Observation(20, (store(),), {"vs_1": 9}, {"vs_1": ALIVE})

    finding = Judge().findings([TARGET], look, Journal("this run"))["docs"]

    note = "inserts and queries work, but 11 of 20 connections do not list it"
    assert finding == Finding("docs", State.PRESENT, "vs_1", note)


def test_lists_that_differ_are_division_where_nothing_else_tells() -> None:
    """Milvus up to 0.3.5 answers errors to all that is asked, and a process serves only what it lists."""
    proofs = {"vs_1": Proof(Verdict.UNDECIDED, "500", costly=True)}

    finding = Judge().findings([TARGET], Observation(20, (store(),), {"vs_1": 9}, proofs), Journal("this run"))["docs"]

    assert finding.state is State.DIVIDED
    assert "11 of 20 connections do not list it" in finding.detail


def test_a_backend_that_does_not_answer_is_unavailable() -> None:
    """What is known of it stands in the proof; what differs comes first, since it explains more."""
    dead = Proof(Verdict.DEAD, "the backend does not answer")

    assert compare(store(), vs_1=dead) == Finding("docs", State.UNAVAILABLE, "vs_1", "the backend does not answer")
    assert compare(store(embedding_dimension="384"), vs_1=dead).state is State.DRIFTED


@pytest.mark.parametrize(
    ("kind", "release", "cause", "remedy"),
    [
        ("milvus", (0, 7, 3), "as milvus before ogx 1.2.4 does", "upgrade to ogx 1.2.4 or newer"),
        ("milvus", (0, 3, 5), "as milvus before ogx 1.2.4 does", "upgrade to ogx 1.2.4 or newer"),
        ("pgvector", (0, 3, 0), "as pgvector before 0.3.5 does", "upgrade to 0.3.5 or newer"),
        ("chromadb", (1, 2, 3), "as chromadb before ogx 1.2.4 does", "declare it in registered_resources"),
        ("chromadb", (1, 2, 5), "so its storage was replaced: give it a persistent one", "declare it in registered"),
        ("milvus", (1, 3, 0), "as milvus before ogx 1.3.1 does", "upgrade to ogx 1.3.1 or newer"),
        ("milvus", (1, 3, 1), "so its storage was replaced: give it a persistent one", "declare it in registered"),
        ("pgvector", (1, 3, 0), "so its storage was replaced: give it a persistent one", "declare it in registered"),
        (
            "faiss",
            (0, 4, 7),
            "so its storage was replaced: give it a persistent one",
            "set HOOK_ON_LOST=recreate, which creates an empty one",
        ),
        ("weaviate", (1, 3, 0), "as weaviate before ogx 1.3.1 does", "upgrade to ogx 1.3.1 or newer"),
        ("neo4j", (1, 5, 0), "as Milvus before ogx 1.2.4 does", "upgrade, or set HOOK_ON_LOST"),
        ("milvus", (0, 2, 24), "as milvus before ogx 1.2.4 does", "declare it in vector_dbs"),
    ],
)
def test_the_remedies_are_those_of_provider_and_release(kind: str, release: Release, cause: str, remedy: str) -> None:
    """Nobody is sent to a section that their release ignores."""
    target = replace(TARGET, provider=Provider("milvus", kind))
    look = Observation(1, (store(),), {"vs_1": 1}, {"vs_1": Proof(Verdict.LOST, "404")})

    detail = Judge(release=release).findings([target], look, Journal("this run"))["docs"].detail

    assert cause in detail
    assert remedy in detail
    assert ("registered_resources" in detail) == (release >= FIRST_DECLARED)


@pytest.mark.parametrize(
    ("kind", "release", "remedies"),
    [
        ("pgvector", (0, 4, 7), ["declare it in registered_resources", "restart all of its pods", "one worker"]),
        ("milvus", (0, 4, 7), ["declare it in registered_resources", "one worker"]),
        ("pgvector", (0, 3, 5), ["restart all of its pods", "one worker"]),
    ],
)
def test_the_remedies_of_division_go_by_provider_and_release(kind: str, release: Release, remedies: list[str]) -> None:
    """A restart helps only where the provider survives it."""
    target = replace(TARGET, provider=Provider("milvus", kind))
    look = Observation(20, (store(),), {"vs_1": 20}, {"vs_1": Proof(Verdict.DIVIDED, "9 of 20")})

    detail = Judge(release=release).findings([target], look, Journal("this run"))["docs"].detail

    known = ("declare it in registered_resources", "restart all of its pods", "one worker")
    assert [remedy for remedy in known if remedy in detail] == remedies


@pytest.mark.parametrize(
    ("version", "release"),
    [("0.4.2.1+rhai0", (0, 4, 2)), ("1.5.0", (1, 5, 0)), ("1.5", None), ("unknown", None)],
)
def test_a_version_is_read_as_far_as_it_goes(version: str, release: Release | None) -> None:
    """Distributions add to it."""
    assert parse_release(version) == release


def test_a_refused_proof_is_a_rejection() -> None:
    """A store into which the hook may not insert is not proven."""
    finding = compare(store(), vs_1=Proof(Verdict.REFUSED, "403"))

    assert finding == Finding("docs", State.REJECTED, "vs_1", "the server refused a test insert or query: 403")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([State.PRESENT, State.REGISTERED, State.VALID], ExitCode.OK),
        ([], ExitCode.OK),
        ([State.PRESENT, State.MISSING], ExitCode.MISMATCH),
        ([State.DRIFTED], ExitCode.MISMATCH),
        ([State.DUPLICATED], ExitCode.MISMATCH),
        ([State.LOST], ExitCode.MISMATCH),
        ([State.UNPUBLISHED, State.PRESENT], ExitCode.UNPUBLISHED),
        ([State.UNPUBLISHED, State.UNKNOWN], ExitCode.UNAVAILABLE),
        ([State.UNKNOWN, State.PRESENT], ExitCode.UNAVAILABLE),
        ([State.UNKNOWN, State.MISSING], ExitCode.MISMATCH),
        ([State.DRIFTED, State.REJECTED], ExitCode.REFUSED),
    ],
)
def test_the_exit_code_follows_the_worst_cause(states: list[State], expected: ExitCode) -> None:
    """A refusal comes first, since it is why collections are missing."""
    assert exit_code(Finding("docs", state) for state in states) is expected


def test_every_state_has_an_exit_code() -> None:
    """Only the good states end with 0."""
    good = {state for state in State if exit_code([Finding("docs", state)]) is ExitCode.OK}

    of_prune = {State.ORPHANED, State.DELETED}
    assert good == {State.VALID, State.PRESENT, State.REGISTERED, State.DISABLED, State.PLANNED} | of_prune


def test_all_that_is_remarkable_is_told_in_one_line() -> None:
    """Each remark once, and for people."""
    finding = compare(store(provider_id=None), store("vs_0"), vs_1=Proof(Verdict.UNDECIDED), vs_0=Proof(Verdict.LOST))

    assert finding.detail == (
        "lost, and not changed: 'vs_0'; unverified: on this release an empty store cannot be told from one whose "
        "backend is down; `register` verifies it with a throw-away store; the server does not show its provider_id"
    )


@pytest.mark.parametrize(
    "proof",
    [
        Proof(Verdict.DIVIDED, "1 of 2"),
        Proof(Verdict.DIVIDED, "something else", found="a chunk"),
        Proof(Verdict.DEAD, "500"),
        Proof(Verdict.REFUSED, "400"),
        Proof(Verdict.ALIVE),
    ],
)
def test_what_is_lost_besides_is_named_whatever_is_found(proof: Proof) -> None:
    finding = compare(store(), store("vs_0"), vs_1=proof, vs_0=Proof(Verdict.LOST))

    assert (finding.id, finding.lost_ids) == ("vs_1", ("vs_0",))


def test_what_the_server_shows_is_cut() -> None:
    """Its metadata can be anything."""
    finding = compare(store(embedding_model="x" * 150))

    assert f"embedding_model: the server has '{'x' * 99}…', your file says 'st/granite'" in finding.detail


def test_a_lost_one_that_a_create_would_replace_is_drifted() -> None:
    """In the older dialect, whose ids are the names."""
    finding = compare(store("docs", provider_id="other", embedding_dimension="1"), docs=Proof(Verdict.LOST))

    assert (finding.state, finding.id, finding.lost_ids) == (State.DRIFTED, "docs", ("docs",))
    assert finding.detail == (
        "it is lost, and provider_id: the server has 'other', your file says 'milvus'; embedding_dimension: the server "
        "has '1', your file says '768'; correct the configuration, or delete the vector store with its data"
    )


def test_duplicates_are_accepted_only_where_that_is_asked() -> None:
    stores = (store(), store("vs_2"))
    look = Observation(1, stores, {each.id: 1 for each in stores}, {each.id: ALIVE for each in stores})

    assert Judge().findings([TARGET], look, Journal("this run"))["docs"].state is State.DUPLICATED


def test_a_missing_one_is_told_with_what_to_do() -> None:
    assert compare().detail == "the server does not list it; run `register`"


def test_duplicates_name_what_is_lost_besides() -> None:
    finding = compare(store(), store("vs_2"), store("vs_0"), vs_0=Proof(Verdict.LOST))

    assert (finding.state, finding.lost_ids) == (State.DUPLICATED, ("vs_0",))


def test_a_dead_trial_says_nothing_of_what_is_lost() -> None:
    """Nobody would have created it, unless lost ones are recreated."""
    journal = Journal("this run")
    journal.add(Tried("docs", (TARGET.provider.id, TARGET.model.id), Proof(Verdict.DEAD, "500")))
    seen = Observation(1, (store(),), proofs={"vs_1": Proof(Verdict.LOST, "404")})

    assert Judge().findings([TARGET], seen, journal)["docs"].state is State.LOST
    assert Judge(recreates=True).findings([TARGET], seen, journal)["docs"].state is State.UNAVAILABLE


def test_what_is_lost_again_is_listed() -> None:
    journal = Journal("this run")
    journal.add(Created("docs", store()))
    seen = Observation(1, (store(),), proofs={"vs_1": Proof(Verdict.LOST, "404")})

    found = Judge(recreates=True).findings([TARGET], seen, journal)["docs"]

    assert found.state is State.LOST
    assert found.detail.startswith("the server lists it, but every insert fails (404)")


def test_register_does_not_send_people_to_register() -> None:
    """It has done what it can; every other command names it."""
    seen = Observation(20, (store(),), {"vs_1": 20}, {"vs_1": Proof(Verdict.UNDECIDED)})
    by_command = [Judge(is_register=it).findings([TARGET], seen, Journal("this run"))["docs"] for it in (True, False)]

    assert ["`register` verifies it" in finding.detail for finding in by_command] == [False, True]


class Counted(list[Any]):
    """Events that count how many of them are read."""

    read = 0

    def __iter__(self) -> Iterator[Any]:
        for each in super().__iter__():
            self.read += 1
            yield each


def events_read(count: int) -> int:
    """Return how many events are read to judge so many collections that this run has just registered."""
    stores = [replace(store(f"vs_{number}", f"docs_{number}"), made_by="this run") for number in range(count)]
    events = Counted(Created(str(each.name), each) for each in stores)
    seen = Observation(1, tuple(stores), {each.id: 1 for each in stores}, {each.id: ALIVE for each in stores})
    targets = [replace(TARGET, name=str(each.name)) for each in stores]
    findings = Judge().findings(targets, seen, Journal("this run", events))
    assert {each.state for each in findings.values()} == {State.REGISTERED}
    return events.read


def test_a_thousand_collections_are_judged_in_seconds() -> None:
    """Each is compared with what the run did, but not with that for each vector store again, which took minutes."""
    assert events_read(40) < 5 * events_read(20)
