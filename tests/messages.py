"""Prints each text of `hook/` that a user can meet, with its place: `make messages`.

It shows every literal of two words or more, and each field of an f-string as {name}. Docstrings and patterns are left
out, so what remains are messages, hints, details and help texts.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parents[1] / "hook"


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each message in a module, in their order."""
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    hidden: set[ast.AST | None] = set()
    for node in nodes:
        if isinstance(node, ast.Expr):
            hidden.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            hidden |= {
                *node.values,
                *(each.format_spec for each in node.values if isinstance(each, ast.FormattedValue)),
            }
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
            hidden |= {each for argument in node.args for each in ast.walk(argument)}
    texts = [node for node in nodes if isinstance(node, ast.JoinedStr | ast.Constant) and node not in hidden]
    for node in sorted(texts, key=lambda text: (text.lineno, text.col_offset)):
        if len(words := _text(node).split()) > 1:
            yield node.lineno, " ".join(words)


def _text(node: ast.expr) -> str:
    match node:
        case ast.JoinedStr():
            return "".join(map(_text, node.values))
        case ast.FormattedValue():
            return f"{{{ast.unparse(node.value)}}}"
        case ast.Constant(value=str(text)):
            return text
    return ""


def main() -> None:
    """Print all of them."""
    for path in sorted(HOUSE.rglob("*.py")):
        for line, text in messages(path):
            print(f"{path.relative_to(HOUSE.parent)}:{line}: {text}")


if __name__ == "__main__":
    main()
