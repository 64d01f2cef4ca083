"""The collections of a file, read from LlamaStack's own sections: its ConfigMap can be the one source of truth.

The rest of a run.yaml is ignored. All problems are reported together.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from hook.config import servers_own
from hook.config.advice import mistaken_lists
from hook.config.documents import find_document
from hook.config.entries import DISABLED, Claim, Disabled, Reader
from hook.config.places import Document, Problem, WrongError
from hook.config.sections import SECTIONS, is_servers_own, sections_of, value_at
from hook.config.sources import read_all
from hook.deadline import Deadline
from hook.domain import Collection, Finding, State
from hook.errors import MAX_PROBLEMS, ConfigError, one_line

_WHERE = "put your list there (kustomize: configMapGenerator with behavior: replace; Helm: collections); "
_MEANT = "if that is intended, set --allow-empty or HOOK_ALLOW_EMPTY=true"
_VALUE = re.compile(r"""(['"]).*\1|(?<=, not )[^;]*""")
"""What a problem quotes of a file."""
_SUBFOLDER = "a subfolder, not read; if it declares collections, give it a --config of its own"
_VARIABLES = "give the hook the server's variables too"


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration file declares."""

    collections: tuple[Collection, ...]
    disabled: Mapping[str, str] = field(default_factory=dict)
    """By name, the key and the value that switch a collection off, as the file has them."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """By path, what is ignored or cannot be known here, and what to do about it."""
    names: tuple[str, ...] = ()
    """All declared names, in their order, also the disabled ones."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """By name, the second names."""

    def findings(self, state: State) -> dict[str, Finding]:
        """Return the findings before the server is asked: this state, or disabled."""
        findings = {name: Finding(name, state) for name in self.names}
        for name, setting in self.disabled.items():
            remedy = "if the server has it, give the hook the server's variables too"
            detail = f"its {one_line(setting, 100)} switches it off; {remedy}"
            findings[name] = Finding(name, State.DISABLED, detail=detail)
        return findings


@dataclass(frozen=True, slots=True)
class _Part:
    """What one file declares."""

    name: str
    """The file, or nothing for a text without one."""
    document: Document
    others: list[Document]
    """Its other documents, which declare nothing as they should."""
    collections: list[Collection]
    reader: Reader

    @property
    def sections(self) -> list[str]:
        """Return the paths of its sections, or of the one that could be there."""
        found = sections_of(self.document.content) or SECTIONS[-1:]
        return [self.document.prefix + ".".join(section.path) for section in found]

    def warnings(self) -> Iterator[tuple[str, str]]:
        """Yield each place with what is to be noted there, also in the other documents."""
        yield from ((self.at(path), hint) for path, hint in self.reader.warnings.items())
        for other in self.others:
            for path, hint in mistaken_lists(other).items():
                yield _shown(self.name, Problem(other.position(path), path)), hint

    def at(self, path: str) -> str:
        """Return a path in the file with the place where it stands."""
        return _shown(self.name, Problem(self.document.position(path), path))


def load(
    paths: Sequence[Path],
    environ: Mapping[str, str],
    deadline: Deadline,
    *,
    key: str | None = None,
    allow_empty: bool = False,
    allow_unset: bool = False,
    is_offline: bool = True,
) -> Config:
    """Read the collections of all files together, as `parse` does. Raises ConfigError with all problems.

    A path may be a folder, a pipe or `-`; what comes through a pipe has to end before the deadline. A file of a folder
    may declare nothing, if another one does. `key` is the only key of a ConfigMap that is read. `is_offline` makes it
    an error that LlamaStack would not start; a server that runs is asked instead, so there it is a warning.
    """
    parts: list[_Part] = []
    problems: list[str] = []
    without: list[str] = []
    subfolders: list[Path] = []
    for source in read_all(paths, deadline):
        if isinstance(source, Path):
            subfolders.append(source)
            continue
        if isinstance(source, ConfigError):
            problems += source.problems
            continue
        try:
            part = _read(source.text, source.name, environ, key=key, allow_unset=allow_unset, is_offline=is_offline)
            if is_offline and not is_servers_own(part.document.content):
                declared_at = {label: claim.path for label, claim in part.reader.claims.items()}
                part.reader.warnings = servers_own.unfinished(part.collections, declared_at) | part.reader.warnings
            parts.append(part)
        except WrongError as error:
            is_optional = source.in_folder and error.is_nothing
            (without if is_optional else problems).extend(_shown(source.name, each) for each in error.problems)
    if problems or not parts:
        raise ConfigError(problems or without)
    found = _combine(parts, allow_empty=allow_empty)
    return replace(found, warnings={**dict.fromkeys(map(str, subfolders[:MAX_PROBLEMS]), _SUBFOLDER), **found.warnings})


def parse(
    text: str,
    environ: Mapping[str, str],
    *,
    name: str = "",
    key: str | None = None,
    allow_empty: bool = False,
    allow_unset: bool = False,
    is_offline: bool = True,
) -> Config:
    """Read the collections from the text of a run.yaml, of a part of one, or of a manifest that holds one.

    `allow_empty` accepts a section without collections. `allow_unset` makes an unset variable a warning, and leaves
    its text as it is. Raises ConfigError with all problems, each with its path, such as
    `vector_dbs[2].embedding_dimension`, and before it `name:line:column` if the text has a name.
    """
    try:
        part = _read(text, name, environ, key=key, allow_unset=allow_unset, is_offline=is_offline)
    except WrongError as error:
        raise ConfigError([_shown(name, problem) for problem in error.problems]) from error
    return _combine([part], allow_empty=allow_empty)


def _read(
    text: str, name: str, environ: Mapping[str, str], *, key: str | None, allow_unset: bool, is_offline: bool
) -> _Part:
    """Read what one text declares. Raises WrongError with all problems."""
    document, others = find_document(text, key)
    is_own = is_servers_own(document.content)
    reader = Reader(environ, allow_unset=allow_unset, in_servers_own_file=is_own)
    collections = [
        collection
        for section in sections_of(document.content)
        for collection in reader.read_section(section, value_at(document.content, section.path), document.prefix)
    ]
    collections = reader.with_defaults(collections, document.content, document.prefix)
    paths = {label: claim.path for label, claim in reader.claims.items()}
    for verdict in servers_own.verdicts(document.content, collections, paths, environ) if is_own else ():
        if is_offline and verdict.is_certain and verdict.path not in reader.warnings:
            reader.problems.append(f"{verdict.path}: {verdict.text}")
        else:
            reader.warnings.setdefault(verdict.path, verdict.text)
    reader.warnings |= mistaken_lists(document)
    if document.is_secret:
        reader.problems = [_VALUE.sub("***", problem) for problem in reader.problems]
        reader.warnings = {path: _VALUE.sub("***", hint) for path, hint in reader.warnings.items()}
        reader.disabled = [each if each.value == DISABLED else each._replace(value="***") for each in reader.disabled]
    if reader.problems:
        positions = (document.position(problem.partition(": ")[0]) for problem in reader.problems)
        raise WrongError([*map(Problem, positions, reader.problems)])
    return _Part(name, document, others, collections, reader)


def _shown(name: str, problem: Problem) -> str:
    """Return a problem as compilers print it, so that editors and CI find the place."""
    return f"{name}:{problem.position.line}:{problem.position.column}: {problem.text}" if name else problem.text


def _combine(parts: Sequence[_Part], *, allow_empty: bool) -> Config:
    """Return what all files declare together. Raises ConfigError where two declare a name, or none declares one."""
    collections = [collection for part in parts for collection in part.collections]
    switched_off = [entry for part in parts for entry in part.reader.disabled]
    names = tuple(dict.fromkeys(name for part in parts for name in part.reader.names))
    problems = [*_claimed_twice(parts), *(_nothing_enabled(parts, names, allow_empty) if not collections else [])]
    if problems:
        raise ConfigError(problems)
    # Of two entries with one name, as for two providers, one may be switched off.
    enabled = {collection.name for collection in collections}
    off = [entry for entry in switched_off if entry.name not in enabled]
    disabled = {entry.name: f"{entry.key} {entry.value}" for entry in off}
    known: list[Disabled | Collection] = [*off, *collections]
    aliases = {entry.name: entry.alias for entry in known if entry.alias is not None}
    declared = frozenset(names)
    labels = declared | {each.alias for each in (*switched_off, *known) if each.alias is not None}
    collections = [replace(each, declared=declared, labels=labels) for each in collections]
    noted = {place: hint for part in parts for place, hint in part.warnings()}
    warnings = dict(islice(noted.items(), MAX_PROBLEMS))
    if len(noted) > MAX_PROBLEMS:
        warnings["…"] = f"and {len(noted) - MAX_PROBLEMS} more"
    return Config(tuple(collections), disabled, warnings, names, aliases)


def _claimed_twice(parts: Sequence[_Part]) -> Iterator[str]:
    """Yield each name or alias that two files declare."""
    claimed: dict[str, tuple[_Part, Claim]] = {}
    for part in parts:
        for label, claim in part.reader.claims.items():
            first, earlier = claimed.setdefault(label, (part, claim))
            if first is not part and not earlier.is_compatible(claim):
                shown = one_line(label, 100)
                yield f"{part.at(claim.path)}: '{shown}' is already declared at {first.at(earlier.path)}"
            elif earlier.is_off:
                claimed[label] = part, claim


def _nothing_enabled(parts: Sequence[_Part], names: Sequence[str], allow_empty: bool) -> Iterator[str]:
    """Yield why there is no collection, unless that is allowed and cannot be a mistake."""
    switched_off = [entry for part in parts for entry in part.reader.disabled]
    # A variable may be missing only here.
    is_missing = any(entry.value != DISABLED for entry in switched_off)
    if is_missing or not allow_empty:
        keys = " or ".join(dict.fromkeys(entry.key for entry in switched_off))
        nothing = f"all {len(names)} declared collections are switched off by their {keys}"
        nothing = f"{nothing} ({one_line(', '.join(names))})" if names else "no collection is declared"
        remedy = _VARIABLES if is_missing else ("" if names else _WHERE) + _MEANT
        yield f"{' and '.join(part.at(path) for part in parts for path in part.sections)}: {nothing}: {remedy}"
