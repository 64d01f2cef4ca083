"""What a server's own configuration says of its start: with some entries LlamaStack would not start at all.

Seen on 0.3.5, 0.7.3 and ogx 1.5.0, which check `registered_resources.vector_stores` before they serve anything. 0.3.5
only looks whether the keys are there; 0.4.3 and newer also look for the model.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hook.config.entries import DISABLED, Reader
from hook.config.sections import mappings, value_at
from hook.config.substitution import substitute, with_all_set
from hook.domain import Collection
from hook.errors import one_line
from hook.tables import kind_of, sharing

_START = "LlamaStack would not start"
_DECLARED_START = "LlamaStack 0.4.3 and newer would not start"
_LISTS = {"inline::sentence-transformers": ("nomic-ai/nomic-embed-text-v1.5",)}
"""The embedding models that a type of provider lists by itself, from 0.3.5 to ogx 1.5.0; others ask an endpoint."""


_Verdict = tuple[str, str, bool]
"""A path, what is wrong there, and whether the server certainly would not start; else it may be fine."""


def judge(content: Any, collections: Sequence[Collection], reader: Reader, *, is_offline: bool) -> None:
    """Note what is wrong with the collections of a server's own file, as errors where that is certain and offline."""
    for path, text, is_certain in _verdicts(content, collections, reader):
        if is_offline and is_certain and path not in reader.warnings:
            reader.problems.append((path, text))
        else:
            reader.warnings.setdefault(path, text)


def unfinished(collections: Sequence[Collection], paths: Mapping[str, str]) -> dict[str, str]:
    """Return, by path, what a list of one's own lacks before it can go into a server's own configuration."""
    hint = f"is missing: the hook takes the model's own, but in a server's own configuration {_START} (Field required)"
    missing = (paths[each.name] for each in collections if each.embedding_dimension is None)
    return {f"{path}.embedding_dimension": hint for path in missing if "vector_stores[" in path}


def _verdicts(content: Any, collections: Sequence[Collection], reader: Reader) -> Iterator[_Verdict]:
    file, by_provider = _File(content, reader.environ), dict[str | None, list[str]]()
    for each in collections:
        path = reader.paths[each.name]
        is_declared = path.rpartition("[")[0].endswith("vector_stores")
        older = " up to 0.2.24 (Field required); newer releases ignore this section"
        missing = f"is missing: {_START}{' (Field required)' if is_declared else older}"
        if each.embedding_model is None:
            yield f"{path}.embedding_model", missing, is_declared
        # Without a provider the server registers nothing.
        elif is_declared and each.provider_id is not None:
            yield from file.unknown_model(each.embedding_model, f"{path}.embedding_model")
        if each.embedding_dimension is None:
            yield f"{path}.embedding_dimension", missing, is_declared
        if is_declared and each.provider_id is not None:
            yield from file.unknown_provider(each.provider_id, f"{path}.provider_id")
            by_provider.setdefault(each.provider_id, []).append(each.name)
    for provider_id, kind in file.kinds.items():
        for name, other in sharing(by_provider.get(provider_id, ()), kind).items():
            text = f"'{one_line(name, 100)}' and '{one_line(other, 100)}' have the same table on {kind}"
            text = f"{text} once a server registers them from this file"
            text = f"{text}: a query of one finds the chunks of the other; rename one of them"
            yield reader.paths[name], text, True


class _File:
    """The providers and models of a server's own file, as far as the variables are known here."""

    def __init__(self, content: Any, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._is_vague = False
        """Whether a variable hides a provider of models or a model."""
        self.kinds = {
            self._text(each, "provider_id"): kind_of(self._text(each, "provider_type") or "")
            for each in mappings(value_at(content, ("providers", "vector_io")))
        }
        # What hides a vector_io provider hides no model. A part of a configuration may have no list of them.
        self._may_have_more, self._is_vague = self._is_vague or not self.kinds, False
        inference = value_at(content, ("providers", "inference"))
        self._knows_providers = isinstance(inference, list)
        self._inference = {
            self._text(each, "provider_id"): self._text(each, "provider_type") for each in mappings(inference)
        }
        self._full_ids: dict[str, str] = {}
        """By a model's short name, its whole id."""
        self._types: dict[str, set[str]] = {}
        """By its whole id, the `model_type` of each of its entries, empty where that is unknown here."""
        self._register(content)

    def unknown_provider(self, provider_id: str, path: str) -> Iterator[_Verdict]:
        """Yield why a vector_io provider is not there."""
        if provider_id not in self.kinds and "${" not in provider_id and not self._may_have_more:
            ids = ", ".join(f"'{each}'" for each in self.kinds if each not in (None, "", DISABLED))
            remedy = "add it to providers.vector_io" + (f", or write one of {one_line(ids)}" if ids else "")
            yield path, f"{_DECLARED_START} (Provider '{one_line(provider_id, 100)}' not found): {remedy}", True

    def unknown_model(self, model: str, path: str) -> Iterator[_Verdict]:
        """Yield why a model may not be there, by its whole id, or not embed, when the vector stores are registered."""
        types = self._types.get(model, set())
        if types and types.isdisjoint({"embedding", ""}):
            text = f"Model '{one_line(model, 100)}' is of type '{one_line(min(types), 100)}'"
            remedy = "give it model_type: embedding under registered_resources.models"
            yield path, f"{_DECLARED_START} ({text}): {remedy}", True
        if types or "${" in model or not (self._types or self._knows_providers):
            return
        full_id = self._full_ids.get(model)
        prefix, slash, name = model.partition("/")
        own_list = _LISTS.get(self._inference.get(prefix) or "")
        if own_list and name in own_list:
            return
        may_be_listed = bool(slash) and (prefix in self._inference or not self._knows_providers) and own_list is None
        remedy = f"write '{full_id}'" if full_id else "register it under registered_resources.models"
        text = f"Model '{one_line(model, 100)}' not found"
        if self._is_vague or may_be_listed:
            hint = f"{_DECLARED_START} ({text}) unless its provider lists it; else {remedy}"
            yield path, f"the file does not register '{one_line(model, 100)}': {hint}", False
        else:
            yield path, f"{_DECLARED_START} ({text}): {remedy}", True

    def _register(self, content: Any) -> None:
        """Note the short names and the ids of the registered models."""
        for each in mappings(value_at(content, ("registered_resources", "models"))):
            model_id, provider_id = self._text(each, "model_id"), self._text(each, "provider_id")
            if not model_id or provider_id in ("", DISABLED):
                continue
            if provider_id in (None, "all"):
                # It is the only provider's, or ogx registers it without a prefix.
                self._is_vague = True
                continue
            at_provider = self._text(each, "provider_model_id") or model_id
            full_id = f"{provider_id}/{at_provider}"
            for name in (model_id, at_provider):
                self._full_ids.setdefault(name, full_id)
            # ogx 1.5.0 takes the model's own name, with a prefix where there is none.
            prefixed = model_id.startswith(f"{provider_id}/")
            # Without a type LlamaStack takes it for an llm.
            type_ = self._text(each, "model_type") or ("" if each.get("model_type") else "llm")
            for name in (full_id, model_id if prefixed else f"{provider_id}/{model_id}"):
                self._types.setdefault(name, set()).add(type_)

    def _text(self, entry: Mapping[Any, Any], key: str) -> str | None:
        """Return the expanded text, as it is where the variable of a `:+` is set, which the server may have."""
        value = entry.get(key)
        if not isinstance(value, str):
            return None
        try:
            text = substitute(value, self._environ) or with_all_set(value)
        except ValueError:
            text = None
        self._is_vague |= text is None or (text == DISABLED != value)
        return text
