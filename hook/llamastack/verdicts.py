"""What LlamaStack's answers to an empty insert and to a query prove of a vector store; nothing here sends anything."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hook.domain import Proof, Verdict
from hook.errors import HookError, RefusedError, UnavailableError, one_line
from hook.http import mapping
from hook.llamastack.releases import FIRST_ACCEPTING_EMPTY_INSERT, FIRST_OGX, Release

INSERT, QUERY = "insert", "query"

_ANY_EXCEPTION = "An unexpected error occurred"
"""LlamaStack's own words for any exception, which a proxy's error page does not have."""
MADE_BY_THE_FIRST_CHUNK = ("milvus", "qdrant")
"""The kinds of provider that have no collection of their own before the first chunk: up to 0.3.5 they answer 500 to an
empty insert, and up to 0.7.3 Milvus 500 and qdrant 400 to a query (POST /v1/vector-io/insert and /query)."""

SHOWS_EMPTINESS = ("faiss", "sqlite-vec", "pgvector", "chromadb")
"""The kinds whose query finds nothing only where there is nothing (0.2.24 to ogx 1.5.0): Milvus Lite with 0.5 finds
nothing in a full one, and a Milvus server may not find yet what was inserted (POST /v1/vector-io/query)."""

MEASURED = (*MADE_BY_THE_FIRST_CHUNK, *SHOWS_EMPTINESS)
"""The kinds that this program has been run against. Of the others nobody knows what their answers prove: elasticsearch
and weaviate answer 204 to an insert that fails (read in the source of ogx 1.5.0, POST /v1/vector-io/insert)."""

PROCESS_LOCAL_PROVIDERS = ("faiss",)
"""The kinds of provider whose chunks each worker of the server keeps for itself, and searches exactly (every release):
the same query finds the same everywhere, or they have different chunks."""

_READ_ONLY = re.compile(r"(?i)\bis read[- ]only\b")

_REFUSALS_OF_NOTHING = {"chromadb": "Expected Embeddings", "qdrant": "Empty update request"}
"""What these kinds answer to an empty insert into a vector store that works (400, up to 0.3.5)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one of the two requests ended."""

    question: str
    answer: Any = None
    error: HookError | None = None


def prove(store_id: str, kind: str, outcomes: Sequence[Outcome], release: Release | None) -> Proof:
    """Return what the answers on one connection prove together of a vector store of a provider of this kind.

    Up to 0.7.3 none can query a fresh vector store on Milvus or qdrant: there, and where the release is not known, its
    answer proves neither that it is fresh nor that it is dead.
    """
    proofs = {outcome.question: _read(outcome, store_id, kind) for outcome in outcomes}
    for proof in proofs.values():
        if proof.verdict in (Verdict.LOST, Verdict.REFUSED) or proof.timed_out:
            return proof
    # What says by an error that it is alive need not log that error again, where the other question tells the same.
    cheap = frozenset(question for question, proof in proofs.items() if not proof.costly)
    query = proofs.get(QUERY)
    told = partial(
        Proof,
        next_questions=cheap or frozenset(sorted(proofs)[:1]),
        costly=not cheap,
        queried=query is not None,
        reads_only=next((proof.reads_only for proof in proofs.values() if proof.reads_only), ""),
    )
    failed = [proof for proof in proofs.values() if proof.verdict is not Verdict.ALIVE]
    may_be_fresh = _may_be_fresh(kind, release)
    if not failed:
        dimension = next(iter(proofs.values())).embedding_dimension
        if query is None:
            return told(Verdict.ALIVE, embedding_dimension=dimension)
        # Where a fresh one cannot be queried, this one has had a chunk: Milvus Lite 3.0 with 0.5.4 finds none of them.
        blind = query.empty is not False and (may_be_fresh or kind not in MEASURED)
        return told(Verdict.ALIVE, embedding_dimension=dimension, empty=query.empty, blind=blind, found=query.found)
    says_fresh = may_be_fresh and _says_fresh(proofs, kind, release)
    return told(Verdict.UNDECIDED if says_fresh else Verdict.DEAD, failed[-1].detail)


def tells_nothing_when_empty(kind: str, release: Release | None) -> bool:
    """Tell whether the answers of a fresh vector store say nothing about whether inserts work."""
    return _may_be_fresh(kind, release) or kind not in MEASURED


def _may_be_fresh(kind: str, release: Release | None) -> bool:
    return (release is None or release < FIRST_OGX) and kind in MADE_BY_THE_FIRST_CHUNK


def _says_fresh(proofs: Mapping[str, Proof], kind: str, release: Release | None) -> bool:
    insert, query = proofs.get(INSERT), proofs.get(QUERY)
    if (
        insert is not None
        and insert.verdict is not Verdict.ALIVE
        and release is not None
        and release >= FIRST_ACCEPTING_EMPTY_INSERT
    ):
        # An empty insert does not get as far there, be it fresh or not.
        return False
    if query is None or query.verdict is Verdict.UNDECIDED:
        return True
    if kind != "milvus" or _ANY_EXCEPTION not in query.detail:
        return False
    # What takes an empty insert there has had a chunk, and could be queried.
    is_lazy = release is None or release >= FIRST_ACCEPTING_EMPTY_INSERT
    return is_lazy or insert is None or insert.verdict is not Verdict.ALIVE


def _read(outcome: Outcome, store_id: str, kind: str) -> Proof:
    """Return what one answer proves.

    To an empty insert: 200 with `null` or 204 says that the id is known; faiss up to 0.3.5 answers 400 with the
    dimension that it expects, chroma and qdrant with words of their own. To a query: 200 with `chunks`; a fresh
    qdrant up to 0.7.3 answers 400 «Collection … not found», which is not the vector store. To either, 400 or 404 of an
    unknown id says that nobody knows the vector store any more.
    """
    again = frozenset({outcome.question})
    told = partial(Proof, next_questions=again, costly=True)
    error = outcome.error
    # First, since an id can be any text, also one that the server says of something else.
    if isinstance(error, RefusedError) and is_unknown_id(error, store_id):
        return told(Verdict.LOST, str(error))
    if outcome.question == INSERT and takes_no_inserts(error):
        return told(Verdict.ALIVE, reads_only=str(error))
    if isinstance(error, RefusedError):
        expected = re.search(r"Expected (\d{1,9}), got 0", error.detail)
        if outcome.question == INSERT and expected:
            return told(Verdict.ALIVE, embedding_dimension=int(expected[1]))
        if outcome.question == INSERT and _REFUSALS_OF_NOTHING.get(kind, "\0") in error.detail:
            return told(Verdict.ALIVE)
        if outcome.question == QUERY and kind == "qdrant" and "Collection " in error.detail:
            return told(Verdict.UNDECIDED, str(error))
        # Red Hat's policy gives `update`, which an insert needs, to the owner alone.
        reads = outcome.question == INSERT and error.status == 403
        hint = "; if this token may only read, set HOOK_PROVE=read" if reads else ""
        return told(Verdict.REFUSED, f"{error}{hint}")
    if isinstance(error, UnavailableError):
        return told(Verdict.DEAD, str(error), timed_out=error.timed_out)
    if outcome.question == INSERT and outcome.answer is None:
        return Proof(Verdict.ALIVE, next_questions=again)
    chunks = mapping(outcome.answer).get("chunks")
    if outcome.question == INSERT or not isinstance(chunks, list):
        shown = one_line(str(outcome.answer), 100)
        remedy = "a proxy may have changed it: use the Service's own URL in LLAMA_STACK_URL"
        return Proof(Verdict.REFUSED, f"unexpected answer to the {outcome.question}: {shown}; {remedy}")
    found = "".join(f"{mapping(chunk).get('content')}" for chunk in chunks) if kind in PROCESS_LOCAL_PROVIDERS else None
    empty = False if chunks else True if kind in SHOWS_EMPTINESS else None
    return Proof(Verdict.ALIVE, next_questions=again, empty=empty, found=found)


def takes_no_inserts(error: HookError | None) -> bool:
    """Tell whether this is the answer to an insert of a provider that only reads.

    It is 501 «Not implemented: …» of a NotImplementedError (every release; lightspeed-core's remote::solr_vector_io),
    or 400 with the words «is read-only» of a ValueError (POST /v1/vector-io/insert).
    """
    if isinstance(error, UnavailableError):
        return error.status == 501 and error.in_json
    return isinstance(error, RefusedError) and error.status == 400 and _READ_ONLY.search(error.detail) is not None


def is_own_failure(error: UnavailableError) -> bool:
    """Tell whether the server failed at this request, or did not answer it in time, and is there for others.

    LlamaStack answers 501 where a provider cannot do it, 502 where its backend refuses the connection (0.3.5 with
    chroma, POST /v1/vector-io/query), and with the status of an embedding model's endpoint. Anything else, as a
    gateway's page, may be a server that restarts.
    """
    is_own = error.status in (500, 501) or (error.status == 502 and error.in_json)
    return error.timed_out or error.passed_on or is_own


def is_unknown_id(error: RefusedError, store_id: str) -> bool:
    """Tell whether the server says that it knows no vector store of this id.

    Each release has its own words for it (400 or 404, POST /v1/vector-io/insert and /query, and DELETE): up to 0.2.24
    «Vector_db `ID` not served by any of the providers: …», the same of «Vector_store» in 0.3.x, from 0.4.0 on
    «Vector_store 'ID' not found», «Vector Store 'ID' not found. Use 'client.vector_dbs.list()' …» of what Milvus lost,
    and «Vector DB ID not found in Llama Stack» of what chroma lost (0.3.5 to 0.7.3), or «in OGX»
    of what chroma or infinispan lost (read in ogx 1.5.0). Any other
    «not found» is that of a model, a provider, a file or a table, even where the id is a part of it.
    """
    ids = "|".join(re.escape(one_line(f"{quote}{store_id}{quote}")) for quote in "'`\"")
    not_known = r"(?i:not found(?=\.?$|\. Use 'client\.vector)|not served by any\b)(?!.*\bnot (?i:found|served))"
    words = rf"(?i:Invalid value: )?(?i:vector[ _](?:store|db)) (?:{ids}) {not_known}"
    of_chroma = rf"(?:Invalid value: )?Vector DB {re.escape(one_line(store_id))} not found in (?:Llama Stack|OGX)\.?$"
    is_said = any(re.match(pattern, error.detail) for pattern in (words, of_chroma))
    return error.status in (400, 404) and is_said
