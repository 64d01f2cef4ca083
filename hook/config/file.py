"""The collections of a file, read from LlamaStack's own sections: its ConfigMap can be the one source of truth.

The rest of a run.yaml is ignored. All problems are reported together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from hook import files
from hook.config.documents import find_document, mistaken, sections_of, value_at
from hook.config.entries import DISABLED, Reader
from hook.domain import Collection, Finding, State
from hook.errors import MAX_PROBLEMS, ConfigError, one_line

MAX_CONFIG_BYTES = 2**20
"""What etcd, and so a ConfigMap, can hold."""
DEFAULT_MODEL = ("vector_stores", "default_embedding_model")
"""Where LlamaStack 0.4 and newer name the model of collections that name none."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration file declares."""

    collections: tuple[Collection, ...]
    disabled: Mapping[str, str] = field(default_factory=dict)
    """By name, the provider_id that switches a collection off, as the file has it."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """By path, what is ignored or cannot be known here, and what to do about it."""
    names: tuple[str, ...] = ()
    """All declared names, in their order, also the disabled ones."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """By name, the second names."""

    def findings(self, state: State) -> dict[str, Finding]:
        """Return the findings before the server is asked: this state, or disabled."""
        findings = {name: Finding(name, state) for name in self.names}
        for name, provider_id in self.disabled.items():
            remedy = "if the server has it, give the hook the server's variables too"
            detail = f"its provider_id {one_line(provider_id, 80)} switches it off; {remedy}"
            findings[name] = Finding(name, State.DISABLED, detail=detail)
        return findings


def load(path: Path, environ: Mapping[str, str], *, allow_empty: bool = False, allow_unset: bool = False) -> Config:
    """Read the collections from a file, as `parse` does. Raises ConfigError with all problems."""
    try:
        content = files.read(path, MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise ConfigError([f"is larger than {MAX_CONFIG_BYTES >> 20} MiB, more than a ConfigMap can hold"])
        return parse(content.decode(), environ, allow_empty=allow_empty, allow_unset=allow_unset)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}; mount it there, or set HOOK_CONFIG"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}"]) from error
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from error


def parse(text: str, environ: Mapping[str, str], *, allow_empty: bool = False, allow_unset: bool = False) -> Config:
    """Read the collections from the text of a run.yaml, of a part of one, or of a manifest that holds one.

    `allow_empty` accepts a section without collections. `allow_unset` makes an unset variable a warning, and leaves
    its text as it is. Raises ConfigError with all problems, each with its path, such as
    `vector_dbs[2].embedding_dimension`.
    """
    document = find_document(text)
    sections = sections_of(document.content)
    reader = Reader(environ, allow_unset=allow_unset)
    collections = [
        collection
        for section in sections
        for collection in reader.read_section(section, value_at(document.content, section.path), document.prefix)
    ]
    is_needed = any(each.embedding_model is None for each in collections)
    default = value_at(document.content, DEFAULT_MODEL) if is_needed else None
    model = reader.default_model(default, document.prefix + ".".join(DEFAULT_MODEL))
    names = tuple(reader.names)
    ignored = mistaken(document)
    if not collections and not reader.problems:
        remedies = [f"{path} {hint}" for path, hint in ignored.items()]
        if any(entry.provider_id != DISABLED for entry in reader.disabled):
            # A variable may be missing only here.
            remedies.append("give the hook the server's variables too")
        if remedies or not allow_empty:
            nothing = f"all {len(names)} declared collections are switched off by their provider_id"
            nothing = f"{nothing} ({one_line(', '.join(names))})" if names else "no collection is declared"
            remedy = "; ".join(remedies) or "if that is intended, set --allow-empty or HOOK_ALLOW_EMPTY=true"
            path = " and ".join(document.prefix + ".".join(section.path) for section in sections)
            reader.problems.append(f"{path}: {nothing}: {remedy}")
    if reader.problems:
        raise ConfigError(reader.problems)
    # Of two entries with one name, as for two providers, one may be switched off.
    enabled = {collection.name for collection in collections}
    off = [entry for entry in reader.disabled if entry.name not in enabled]
    disabled = {entry.name: str(entry.provider_id) for entry in off}
    aliases = {entry.name: entry.alias for entry in (*off, *collections) if entry.alias is not None}
    declared = frozenset(names)
    labels = declared | {each.alias for each in (*reader.disabled, *collections) if each.alias is not None}
    collections = [replace(c, default_embedding_model=model, declared=declared, labels=labels) for c in collections]
    noted = ignored | reader.warnings
    warnings = dict(islice(noted.items(), MAX_PROBLEMS))
    if len(noted) > MAX_PROBLEMS:
        warnings["…"] = f"and {len(noted) - MAX_PROBLEMS} more"
    return Config(tuple(collections), disabled, warnings, names, aliases)
