"""What is remarkable, or different from its collection, about one vector store. Pure."""

from collections.abc import Sequence

from hook.domain import Observation, Proof, Target, VectorStore, Verdict
from hook.errors import one_line
from hook.registration.resolve import quoted
from hook.survey import SHOWN_FIELDS

UNVERIFIED = "unverified: on this release an empty store cannot be told from one whose backend is down"
BY_REGISTER = "`register` verifies it with a throw-away store"
BLIND = (
    "unverified: the query found nothing, and on this release and provider a full store may answer the same; query it "
    "for a text that it holds"
)


def unlisted(store: VectorStore, seen: Observation) -> str:
    """Return on how many connections the list does not show a vector store; empty where each one does."""
    number = seen.connections - seen.shown.get(store.id, seen.connections)
    return f"{number} of {seen.connections} connections do not list it" if number else ""


def notes(store: VectorStore, proof: Proof, lost_ids: Sequence[str], *, is_register: bool = False) -> list[str]:
    """Return what is remarkable about a vector store that is accepted; `register` does not recommend itself."""
    found = []
    if lost_ids:
        found.append(f"lost, and not changed: {quoted(lost_ids)}")
    if proof.verdict is Verdict.UNDECIDED:
        found.append(UNVERIFIED if is_register or proof.reads_only else f"{UNVERIFIED}; {BY_REGISTER}")
    if proof.failure:
        found.append(f"1 request failed, and worked when it was repeated ({proof.failure})")
    if proof.reads_only and proof.blind:
        found.append(
            f"unverified: its provider takes no inserts ({proof.reads_only}), so a query alone could verify it, and a "
            "query finds nothing"
        )
    elif proof.reads_only:
        found.append(f"verified by a query alone, since its provider takes no inserts ({proof.reads_only})")
    elif proof.blind:
        found.append(BLIND)
    if store.files_failed > 0:
        found.append(
            f"{store.files_failed} of its {store.files} files failed (GET /v1/vector_stores/ID/files says why)"
        )
    hidden = [
        name for name in ("provider_id", "embedding_model", "embedding_dimension") if getattr(store, name) is None
    ]
    if hidden:
        found.append(f"the server does not show its {', '.join(hidden)}")
    return found


def differences(target: Target, store: VectorStore, seen: Observation) -> list[str]:
    """Compare what each worker shows. Anyone can replace metadata, but a difference is always a fault."""
    models = [*filter(None, (target.model.id, *target.model.other_ids, target.model.resource_id))]
    wanted = (["completed"], [target.provider.id], models, [str(target.embedding_dimension)])
    different = []
    for version in seen.versions.get(store.id, (store,)):
        for name, right in zip(SHOWN_FIELDS, wanted, strict=True):
            actual = getattr(version, name)
            if actual is not None and actual not in right:
                said = one_line(actual, 100)
                different.append(
                    f"status is '{said}', not '{right[0]}'"
                    if name == "status"
                    else f"{name}: the server has '{said}', your file says '{right[0]}'"
                )
    return list(dict.fromkeys(different))
