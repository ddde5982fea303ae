"""Where the project raises its errors, and which texts of the tests quote their messages; read with `ast`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHORTEST = 10
"""Letters that a quotation must have in common with the constant part of a message."""
_WILD = re.compile(r"\.[*+]\??|\\[dwSs][+*]?|\[[^\]]*\][*+]?|\(\?[^)]*\)|\{\d*,?\d*\}|[()|]")


@dataclass(frozen=True)
class Site:
    """One place that makes an error.

    Attributes:
        where: File and function, which stay when lines move.
        line: Line of the file.
        kind: Name of the error.
        constants: The parts of its message that are written in the source.
    """

    where: str
    line: int
    kind: str
    constants: tuple[str, ...]

    def is_quoted_by(self, quotations: set[str]) -> bool:
        """Tell whether a test quotes enough of the message."""
        return any(
            constant in quotation or (len(quotation) >= SHORTEST and quotation in constant)
            for constant in self.constants
            for quotation in quotations
        )


@cache
def sites() -> list[Site]:
    """Return all places in `aurac` and `aurac_adapters` that make an error of the project."""
    files = sorted([*ROOT.glob("aurac/**/*.py"), *ROOT.glob("adapters/aurac_adapters/**/*.py")])
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}
    names = _names_of_errors(list(trees.values()))
    found = []
    for file, tree in trees.items():
        for function, call in _calls(tree, ""):
            if isinstance(call.func, ast.Name) and call.func.id in names and call.func.id != function.split(".")[0]:
                where = f"{file.relative_to(ROOT)}:{function}"
                found.append(Site(where, call.lineno, call.func.id, tuple(_constants(call))))
    return found


@cache
def quotations() -> set[str]:
    """Return the constant parts of all texts in the tests, regular expressions cut at what is not literal in them."""
    found = set()
    for file in ROOT.glob("tests/**/*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(" ".join(node.value.split()))
                found |= {" ".join(re.sub(r"\\(.)", r"\1", part).split()) for part in _WILD.split(node.value)}
    return {text for text in found if len(text) >= SHORTEST}


def _names_of_errors(trees: list[ast.Module]) -> set[str]:
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names = {"AuracError"}
    while True:
        more = {c.name for c in classes if any(isinstance(b, ast.Name) and b.id in names for b in c.bases)}
        if more <= names:
            return names
        names |= more


def _calls(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        inner = function
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            inner = f"{function}.{child.name}" if function else child.name
        if isinstance(child, ast.Call):
            yield function, child
        yield from _calls(child, inner)


def _constants(call: ast.Call) -> list[str]:
    """Return the literal parts of the message; "unknown KIND" for a name that no table holds."""
    parts = [""]
    if isinstance(call.func, ast.Name) and call.func.id == "UnknownNameError":
        parts = ["unknown "]
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        _collect(argument, parts)
        parts.append("")
    texts = [" ".join(part.split()) for part in parts]
    return [text for text in texts if len(text) >= SHORTEST]


def _collect(expression: ast.expr, parts: list[str]) -> None:
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        parts[-1] += expression.value
    elif isinstance(expression, ast.JoinedStr):
        for value in expression.values:
            _collect(value, parts)
    elif isinstance(expression, ast.BinOp):
        _collect(expression.left, parts)
        _collect(expression.right, parts)
    else:
        parts.append("")
