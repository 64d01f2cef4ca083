"""Collections in places where nobody reads them: deeper in a file, in a text of it, or in a chart's list."""

import re
from collections.abc import Iterator
from typing import Any

from hook.config.advice import is_like_a_section
from hook.config.places import Origin, WrongError
from hook.config.sections import SECTIONS
from hook.config.yaml_text import YamlReader, template_hint
from hook.errors import one_line

DECLARES = re.compile(r"""(?i)\b(?:vector[-_]?(?:db|store|database)s?|registered_resources)["']?\s*:""")
"""Found in each text that can hold a section. What lacks it is somebody else's, and may be no YAML."""
_KEYS = {key for section in SECTIONS for key in section.keys} - {"metadata", "provider_id"}
"""Those that entries of other lists do not have."""


def has_collections(value: Any) -> bool:
    """Tell whether a value is a list, and one of its entries has a key of a collection."""
    return isinstance(value, list) and any(isinstance(each, dict) and _KEYS & each.keys() for each in value)


def deeper(content: Any, path: str) -> Iterator[str]:
    """Yield the path of each list that looks like a section, and of each text that seems to hold one."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, each in items:
        where = f"{path}.{one_line(str(key), 60)}".lstrip(".") if isinstance(content, dict) else f"{path}[{key}]"
        is_text = isinstance(each, str) and DECLARES.search(each) and _is_structured(each)
        if is_text or (isinstance(each, list) and each and is_like_a_section(key)):
            yield where
        elif isinstance(each, dict | list):
            yield from deeper(each, where)


def _is_structured(text: str) -> bool:
    """Tell whether a text is a mapping or a list, or a template of one, and not a script."""
    try:
        documents = YamlReader().read(text, Origin())
    except WrongError:
        return bool(template_hint(text))
    return any(isinstance(each.content, dict | list) for each in documents)
