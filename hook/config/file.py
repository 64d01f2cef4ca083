"""The collections, read from LlamaStack's own sections so that its ConfigMap can be the one source of truth.

`vector_dbs` is the section of releases up to 0.2.24, `registered_resources.vector_stores` that of 0.4.3 and newer.
Everything else in a run.yaml is somebody else's. Every problem is collected, so that one run shows them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from hook import files
from hook.config.documents import declares, dig, find_document
from hook.config.entries import DISABLED, SECTIONS, Reader
from hook.domain import Collection, Finding, State
from hook.errors import MAX_PROBLEMS, ConfigError, one_line

MAX_CONFIG_BYTES = 2**20
"""What etcd, and so a ConfigMap, can hold."""


DEFAULT_MODEL = ("vector_stores", "default_embedding_model")
"""Where LlamaStack 0.4 and newer name the model of whoever names none."""

MISNAMED = {
    ("vector_databases",): "vector_dbs",
    ("registered_resources", "vector_dbs"): "vector_stores",
    ("registered_resources", "vector_databases"): "vector_stores",
}
"""What is written for a section by mistake, and what it should be called."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration file declares."""

    collections: tuple[Collection, ...]
    disabled: Mapping[str, str] = field(default_factory=dict)
    """The entries that LlamaStack would leave out, since their provider_id is `__disabled__` or expands to nothing: by
    name, the provider_id as it is written."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """By path, what is not used or cannot be known here, and why, or what to do about it."""
    names: tuple[str, ...] = ()
    """All that are declared, in their order, the disabled ones included."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """By name, the second names."""

    def findings(self, state: State) -> dict[str, Finding]:
        """Return what is known of each before anything is asked: this state, or that it is disabled."""
        return {name: self._disabled(name) if name in self.disabled else Finding(name, state) for name in self.names}

    def _disabled(self, name: str) -> Finding:
        detail = (
            f"its provider_id {one_line(self.disabled[name], 80)} switches it off; if the server's own environment "
            "does not, give the hook the same variables"
        )
        return Finding(name, State.DISABLED, detail=detail)


def load(path: Path, environ: Mapping[str, str], *, allow_empty: bool = False, lenient: bool = False) -> Config:
    """Read the collections from a file, as `parse` does. Raises ConfigError with every problem of it."""
    try:
        content = files.read(path, MAX_CONFIG_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}; mount it there, or set HOOK_CONFIG"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}"]) from error
    if len(content) > MAX_CONFIG_BYTES:
        raise ConfigError([f"{path}: is larger than {MAX_CONFIG_BYTES // 2**20} MiB, more than a ConfigMap can hold"])
    try:
        return parse(text, environ, allow_empty=allow_empty, lenient=lenient)
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from error


def parse(text: str, environ: Mapping[str, str], *, allow_empty: bool = False, lenient: bool = False) -> Config:
    """Read the collections from the text of a run.yaml, of a part of one, or of a manifest that holds one.

    With `allow_empty`, a section without a collection is no problem; with `lenient`, a variable that is unset is a
    warning, and what needs it counts as it is written. Raises ConfigError with every problem, each with its path, such
    as `vector_dbs[2].embedding_dimension`.
    """
    document = find_document(text, [section.path for section in SECTIONS], MISNAMED)
    ignored = document.ignored(MISNAMED)
    reader = Reader(environ, lenient=lenient)
    collections = [
        collection
        for section in SECTIONS
        for collection in reader.read_section(section, dig(document.content, section.path), document.prefix)
    ]
    if any(collection.embedding_model is None for collection in collections):
        path = f"{document.prefix}{'.'.join(DEFAULT_MODEL)}"
        model = reader.default_model(dig(document.content, DEFAULT_MODEL), path)
        collections = [replace(collection, default_embedding_model=model) for collection in collections]
    # What a variable switches off, which may be unset only here, or what stands where nobody reads it, is not meant.
    by_variable = [name for name, provider_id in reader.disabled.items() if provider_id != DISABLED]
    is_empty = not ignored and not by_variable
    if not collections and not reader.problems and not (is_empty and allow_empty):
        sections = " and ".join(
            document.prefix + ".".join(section.path) for section in SECTIONS if declares(document.content, section.path)
        )
        disabled = [f"disabled: {one_line(', '.join(reader.disabled))}"] if reader.disabled else []
        nothing = f"{sections}: no collection is declared, so there is nothing to register"
        remedies = [*map(" ".join, ignored.items())]
        if by_variable:
            remedies.append("where the server's own variables do not switch that off, give the hook the same ones")
        if is_empty:
            remedies.append("where that is meant, set --allow-empty or HOOK_ALLOW_EMPTY=true")
        reader.problems.append("; ".join([nothing, *disabled, *remedies]))
    if reader.problems:
        raise ConfigError(reader.problems)
    declared = frozenset(reader.names)
    labels = declared.union(reader.aliases.values(), reader.disabled_aliases.values())
    collections = [replace(collection, declared=declared, labels=labels) for collection in collections]
    enabled = {collection.name for collection in collections}
    # One of two entries of a name may be switched off, as for two providers; then the other one counts.
    off = {name: provider_id for name, provider_id in reader.disabled.items() if name not in enabled}
    warnings = dict(islice((ignored | reader.warnings).items(), MAX_PROBLEMS))
    if len(ignored) + len(reader.warnings) > MAX_PROBLEMS:
        warnings["…"] = f"and {len(ignored) + len(reader.warnings) - MAX_PROBLEMS} more"
    aliases = {name: alias for name, alias in reader.disabled_aliases.items() if name in off} | reader.aliases
    return Config(tuple(collections), off, warnings, tuple(reader.names), aliases)
