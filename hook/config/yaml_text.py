"""YAML as plain values: PyYAML's safe subset, within a bound on its size, with every duplicate key reported."""

import re
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from hook.errors import ConfigError, one_line

_MAX_DEPTH = 100
"""Ten times the depth of a run.yaml. The parser recurses in C, where a file that is too deep crashes the process."""
_MAX_VALUES = 50_000
"""A run.yaml with four thousand collections, or half a second of work."""
_CHARACTERS_PER_VALUE = 100
"""A longer text counts as several values, because aliases can repeat it."""
_MAX_TAG_DIRECTIVES = 100
"""libyaml compares each of them with all earlier ones."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a YAML text, or a part of one."""

    place: str
    """Where it is in the file, for a person."""
    content: Any
    problems: tuple[str, ...]
    """Each duplicate key in it, with its place."""
    prefix: str = ""
    """What stands before each path in it."""
    key: str | None = None
    """The key of the ConfigMap that holds it."""


@dataclass(frozen=True, slots=True)
class OddNumber:
    """A whole number that is not in plain digits: YAML 1.1 reads 01400, 0x300 and 12:48 as 768, people do not."""

    text: str

    def __repr__(self) -> str:
        """Return it as the file has it."""
        return self.text


def template_hint(text: str) -> str:
    """Return what to do with a text that is an unrendered template, or nothing for any other text."""
    found = re.search(r"(\$?)\{\{[^{}]*\}\}", text)
    openshift = "looks like an OpenShift Template; process it first (oc process --local)"
    helm = "looks like a Helm template; render it first (helm template)"
    return "" if found is None else openshift if found[1] else helm


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end is not read yet, or the whole text."""

    anchor: str | None = None
    values_before: int = 0
    mapping_keys: set[str] | None = None
    children: int = 0
    height: int = 0


class YamlReader:
    """Reads the YAML texts of one file. One bound holds for all of them together."""

    def __init__(self) -> None:
        self._values = 0
        """How many values are read so far, keys included, with each alias expanded."""

    def read(self, text: str) -> list[Document]:
        """Return the documents of a text. Raises ConfigError if it is too large or not YAML."""
        try:
            heads = self._check(text)
            contents = list(yaml.load_all(text, Loader=_Loader))
        except yaml.MarkedYAMLError as error:
            raise ConfigError([_explain(error, text)]) from error
        except Exception as error:  # PyYAML's constructors raise whatever a value makes them (`!!bool maybe`)
            raise ConfigError([f"not valid YAML: {one_line(str(error))}"]) from error
        return [Document(place, each, tuple(keys)) for (place, keys), each in zip(heads, contents, strict=True)]

    def _check(self, text: str) -> list[tuple[str, list[str]]]:
        """Return place and duplicate keys of each document, if the text is within the bounds.

        It works on events, which the parser makes one by one and without recursion. Each alias counts as what it
        stands for, because a few lines of aliases could fill the memory.
        """
        if text.count("%TAG") > _MAX_TAG_DIRECTIVES:
            raise yaml.MarkedYAMLError(problem=f"more than {_MAX_TAG_DIRECTIVES} %TAG directives")
        heads: list[tuple[str, list[str]]] = []
        opened = [_Open()]
        sizes: dict[str | None, tuple[int, int] | None] = {}
        """By anchor, how many values it stands for and how deep; None before its end is read."""
        for event in yaml.parse(text, Loader=_Loader):
            parent = opened[-1]
            if isinstance(event, yaml.CollectionEndEvent):
                opened.pop()
                sizes[parent.anchor] = (self._values - parent.values_before, parent.height + 1)
                opened[-1].height = max(opened[-1].height, parent.height + 1)
            if not isinstance(event, yaml.NodeEvent):
                continue
            mark: Any = event.start_mark
            if parent is opened[0]:
                heads.append((f"document {len(heads) + 1} (line {mark.line + 1})", []))
            parent.children += 1
            values, height = 1, 0
            if isinstance(event, yaml.AliasEvent):
                # PyYAML itself reports an alias without an anchor.
                values, height = sizes.get(event.anchor, (1, 0)) or _refuse("an alias of what contains it", mark)
            elif isinstance(event, yaml.ScalarEvent):
                values += len(event.value) // _CHARACTERS_PER_VALUE
                sizes[event.anchor] = (values, 0)
                if parent.mapping_keys is not None and parent.children % 2:
                    if event.value in parent.mapping_keys and event.value != "<<":
                        problem = one_line(f"duplicate key '{event.value}'")
                        heads[-1][1].append(f"{_where(mark)}not valid YAML: {problem}")
                    parent.mapping_keys.add(event.value)
            else:
                sizes[event.anchor] = None
                is_mapping = isinstance(event, yaml.MappingStartEvent)
                opened.append(_Open(event.anchor, self._values, set() if is_mapping else None))
            self._values += values
            parent.height = max(parent.height, height)
            if len(opened) - 1 + height > _MAX_DEPTH:
                _refuse(f"nested deeper than {_MAX_DEPTH}", mark)
            if self._values > _MAX_VALUES:
                _refuse(f"more than {_MAX_VALUES:,} values, with each alias expanded", mark)
        return heads


def _refuse(problem: str, mark: Any) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    mark: Any = error.problem_mark or error.context_mark
    if mark and text[mark.index : mark.index + 1] == "\t":
        return f"line {mark.line + 1}: a tab; YAML indents with spaces"
    hint = template_hint(text)
    problem = one_line(error.problem or str(error)) + (f"; it {hint}" if hint else "")
    return f"{_where(mark) if mark else ''}not valid YAML: {problem}"


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: "


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader, in C if possible: the one in Python takes ten seconds for a large ConfigMap."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int | OddNumber:
        text = str(self.construct_scalar(node))
        if re.fullmatch(r"-?(0|[1-9][0-9]{0,14})", text):
            return int(text)
        if not re.search(r"[0-9]", text):
            raise yaml.constructor.ConstructorError(None, None, "not a number", node.start_mark)
        return OddNumber(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
