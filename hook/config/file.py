"""The collections of files, read from LlamaStack's own sections: its ConfigMap can be the one source of truth.

The rest of a run.yaml is ignored. All problems are reported together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from hook.config import servers_own
from hook.config.advice import mistaken_lists
from hook.config.documents import find_document
from hook.config.entries import DISABLED, Claim, Reader
from hook.config.places import Document, WrongError
from hook.config.sections import SECTIONS, is_servers_own, sections_of
from hook.config.sources import Source, read_all
from hook.deadline import Deadline
from hook.domain import Collection, Finding, State
from hook.errors import MAX_PROBLEMS, ConfigError, one_line

_WHERE = "put your list there (kustomize: configMapGenerator with behavior: replace; Helm: collections); "
_MEANT = "if that is intended, set --allow-empty or HOOK_ALLOW_EMPTY=true (Helm: allowEmpty)"
_SUBFOLDER = "a subfolder, not read; if it declares collections, give it a --config of its own"
_VARIABLES = "give the hook the server's variables too"


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration declares."""

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
            detail = f"its {one_line(setting, 100)} switches it off; if the server has it, {_VARIABLES}"
            findings[name] = Finding(name, State.DISABLED, detail=detail)
        return findings


@dataclass(frozen=True, slots=True)
class Rules:
    """What of a file is read, and what is accepted in it."""

    key: str | None = None
    """The only key of a ConfigMap or Secret that is read; None for all."""
    allow_empty: bool = False
    """Whether a configuration may have no collection."""
    allow_unset: bool = False
    """Whether an unset variable is a warning, and its text stays as it is."""
    is_offline: bool = True
    """Whether it is an error that LlamaStack would not start. A server that runs is asked instead: a warning."""


DEFAULT_RULES = Rules()


def load(paths: Sequence[Path], environ: Mapping[str, str], deadline: Deadline, rules: Rules = DEFAULT_RULES) -> Config:
    """Read the collections of all files together. Raises ConfigError with all problems, each with its place and path.

    A path may be a folder, a pipe or `-`; what comes through a pipe has to end before the deadline. A file of a folder
    may declare nothing, if another one does.
    """
    loading = Loading(environ, rules)
    for source in read_all(paths, deadline):
        loading.add(source)
    return loading.config()


class Loading:
    """What the files that were read so far declare together."""

    def __init__(self, environ: Mapping[str, str], rules: Rules) -> None:
        self._environ = environ
        self._rules = rules
        self._collections: list[Collection] = []
        self._claims: dict[str, Claim] = {}
        """Whose each name and alias is, in their order."""
        self._sections: list[tuple[Document, str]] = []
        """Where collections are declared, or could be."""
        self._warnings: dict[str, str] = {}
        self._problems: list[str] = []
        self._nothing: list[str] = []
        """What is wrong with files that need not declare anything."""

    def add(self, source: Source | ConfigError | Path) -> None:
        """Read one file, or note why it is not read."""
        if isinstance(source, Path):
            self._warnings[str(source)] = _SUBFOLDER
        elif isinstance(source, ConfigError):
            self._problems += source.problems
        else:
            try:
                self._read(source)
            except WrongError as error:
                is_optional = source.in_folder and error.is_nothing
                (self._nothing if is_optional else self._problems).extend(error.problems)

    def _read(self, source: Source) -> None:
        """Read what one text declares. Raises WrongError where it cannot be found."""
        document, others = find_document(source.text, source.name, self._rules.key)
        reader = Reader(document, self._claims, self._environ, allow_unset=self._rules.allow_unset)
        collections = reader.collections()
        is_own, is_offline = is_servers_own(document.content), self._rules.is_offline
        if is_own:
            servers_own.judge(document.content, collections, reader, is_offline=is_offline)
        if document.origin.is_secret:
            reader.mask()
        unfinished = servers_own.unfinished(collections, reader.paths) if is_offline and not is_own else {}
        warnings = unfinished | reader.warnings | mistaken_lists(document)
        self._warnings |= {document.at(path): hint for path, hint in warnings.items()}
        self._warnings |= {each.at(path): hint for each in others for path, hint in mistaken_lists(each).items()}
        self._problems += [f"{document.at(path)}: {problem}" for path, problem in reader.problems]
        self._collections += collections
        sections = sections_of(document.content) or SECTIONS[-1:]
        self._sections += [(document, document.prefix + ".".join(section.path)) for section in sections]

    def config(self) -> Config:
        """Return what all of them declare. Raises ConfigError with all problems."""
        if self._problems or not self._sections:
            raise ConfigError(self._problems or self._nothing)
        named = {label: claim for label, claim in self._claims.items() if label == claim.name}
        off = {name: claim.off for name, claim in named.items() if claim.off}
        if not self._collections and (problem := self._nothing_enabled(off)):
            raise ConfigError([problem])
        declared, labels = frozenset(named), frozenset(self._claims)
        warnings = dict(islice(self._warnings.items(), MAX_PROBLEMS))
        if len(self._warnings) > MAX_PROBLEMS:
            warnings["…"] = f"and {len(self._warnings) - MAX_PROBLEMS} more"
        return Config(
            tuple(replace(each, declared=declared, labels=labels) for each in self._collections),
            {name: " ".join(setting) for name, setting in off.items()},
            warnings,
            tuple(named),
            {name: claim.alias for name, claim in named.items() if claim.alias is not None},
        )

    def _nothing_enabled(self, off: Mapping[str, tuple[str, str]]) -> str | None:
        """Return why there is no collection, unless that is allowed and cannot be a mistake."""
        # A variable may be missing only here.
        is_missing = any(value != DISABLED for _, value in off.values())
        if self._rules.allow_empty and not is_missing:
            return None
        keys = " or ".join(dict.fromkeys(key for key, _ in off.values()))
        nothing = f"all {len(off)} declared collections are switched off by their {keys}"
        nothing = f"{nothing} ({one_line(', '.join(off))})" if off else "no collection is declared"
        remedy = _VARIABLES if is_missing else ("" if off else _WHERE) + _MEANT
        places = " and ".join(document.at(path) for document, path in self._sections)
        return f"{places}: {nothing}: {remedy}"
