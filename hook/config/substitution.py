"""LlamaStack's `${env.…}`, expanded as in its core/stack.py (`replace_env_vars`, 0.3.5)."""

import re
from collections.abc import Mapping

from hook.errors import one_line

_SUBSTITUTION = re.compile(r"\$\{env\.([A-Z0-9_]+)(?::([=+])((?:(?!\$\{)[^}])*))?\}")
"""Without a substitution within a substitution, which LlamaStack leaves half done."""
MAX_LENGTH = 1000
"""How many characters a text may have: more than any name."""


class UnsetError(ValueError):
    """A variable is unset and has no default, and nothing else is wrong."""


def with_all_set(text: str) -> str:
    """Return the text as it would be if each variable of a `:+` was set, and each of a `:=` was not."""
    return _SUBSTITUTION.sub(lambda match: match[3] or "", text)


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Expand `${env.NAME}`, `${env.NAME:=default}` and `${env.NAME:+value}`.

    As in LlamaStack, an empty variable counts as unset. Raises ValueError, or UnsetError if that is the only problem.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    if "${" in (rest := _SUBSTITUTION.sub("", text)):
        openshift = "; for a parameter of an OpenShift Template, process it first (oc process --local)"
        hint = openshift if re.search(r"\$\{\w+\}", rest) else ""
        forms = "${env.NAME}, ${env.NAME:=default} and ${env.NAME:+value}, not nested"
        raise ValueError(f"LlamaStack does not expand '{one_line(text, 80)}', only {forms}{hint}")
    unset: list[str] = []

    def expand(match: re.Match[str]) -> str:
        name, operator, operand = match.groups()
        value = environ.get(name)
        if operator == "+":
            return str(operand) if value else ""
        if not value and operator is None:
            unset.append(name)
        return value or operand or ""

    result = _SUBSTITUTION.sub(expand, text)
    if len(result) > MAX_LENGTH:
        raise ValueError(f"expands to more than {MAX_LENGTH} characters")
    if unset:
        name = unset[0]
        raise UnsetError(f"the environment variable {name} is not set; set it, or write ${{env.{name}:=DEFAULT}}")
    return result
