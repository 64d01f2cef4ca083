"""LlamaStack's `${env.…}`, expanded as its core/stack.py does (`replace_env_vars`, 0.3.5)."""

import re
from collections.abc import Mapping

from hook.errors import one_line

_SUBSTITUTION = re.compile(r"\$\{env\.([A-Z0-9_]+)(?::([=+])([^}]*))?\}")

MAX_LENGTH = 1000
"""Characters of a text: more than any name has, and few enough to look for the end of each substitution in them."""


class UnsetError(ValueError):
    """A variable is unset and has no default, and nothing else is wrong."""


def has_substitution(text: str) -> bool:
    """Tell whether something in the text would be replaced; what is too long to be looked at counts as such."""
    return len(text) > MAX_LENGTH or _SUBSTITUTION.search(text, 0, _end(text)) is not None


def _end(text: str) -> int:
    """Return where the last substitution can end: to look for an end in what follows takes long in vain."""
    return text.rfind("}") + 1


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Expand `${env.NAME}`, `${env.NAME:=default}` and `${env.NAME:+value}`.

    As there, a variable that is set but empty counts as unset. Raises ValueError with what is wrong: a form that
    LlamaStack does not know or does not do to its end, or, as UnsetError, a variable that is unset and has no default.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    unset: list[str] = []

    def expand(match: re.Match[str]) -> str:
        name, operator, operand = match.groups()
        value = environ.get(name)
        if operator == "+":
            return str(operand) if value else ""
        if value:
            # No longer than it takes to see that it is too long.
            return value[: MAX_LENGTH + 1]
        if operator is None:
            unset.append(name)
        return operand or ""

    # Its pattern ends at the first brace, so what is within is never replaced, whether the variable is set or not.
    end = _end(text)
    if any("${" in (match[3] or "") for match in _SUBSTITUTION.finditer(text, 0, end)):
        raise ValueError(
            f"'{one_line(text, 80)}' has a substitution within a substitution, which LlamaStack leaves half done; "
            "write one of them"
        )
    unknown = _SUBSTITUTION.sub("", text[:end]) + text[end:]
    if "${" in unknown:
        of_openshift = "; a parameter of an OpenShift Template is processed first (oc process --local)"
        raise ValueError(
            f"'{one_line(text, 80)}' has a substitution that LlamaStack does not know; it knows ${{env.NAME}}"
            + (of_openshift if re.search(r"\$\{\w+\}", unknown) else "")
        )
    result = _SUBSTITUTION.sub(expand, text[:end]) + text[end:]
    if len(result) > MAX_LENGTH:
        raise ValueError(f"expands to more than {MAX_LENGTH} characters")
    if unset:
        raise UnsetError(f"the environment variable {unset[0]} is not set, and has no default (${{env.{unset[0]}:=…}})")
    return result
