"""The rooms of docs/design.md, who may import whom, and no circles of files, read from the source with `ast`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    "errors",
    "home",
    "registry",
    "fields",
    "ranks",
    "writing",
    "base_model",
    "quadrature",
    "curve",
    "signature",
    "statistics",
    "results",
    "testbed",
    "harness",
    "analysis",
    "report",
    "workflows",
    "cli",
]
HEAVY = {"torch", "transformers", "peft", "lm_eval", "pandas", "matplotlib", "datasets", "accelerate", "pyarrow"}
# Rooms that cannot be used without these libraries, and may therefore import them when they are imported themselves.
MAY_IMPORT_HEAVY = ("aurac/harness/", "aurac/testbed/tasks/", "adapters/aurac_adapters/")


def source_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path, *, module_level_only: bool = False) -> Iterator[str]:
    """Absolute dotted names that a file imports; relative imports are not used in this project."""
    tree = ast.parse(path.read_text())
    for node in tree.body if module_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> dict[str, Path]:
    """Dotted name -> file, of both packages."""
    found = {}
    for root, folder in ((ROOT, "aurac"), (ROOT / "adapters", "adapters/aurac_adapters")):
        for path in source_files(folder):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


def file_graph() -> dict[str, set[str]]:
    """Module -> modules that it imports anywhere, inside functions and for type checkers too."""
    known = modules()
    graph = {}
    for module, path in known.items():
        names = [name if name in known else name.rpartition(".")[0] for name in imports(path)]
        graph[module] = {name for name in names if name in known}
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Strongly connected components of more than one node (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in graph[node]:
            if other not in order:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == order[node]:
            component = set(stack[stack.index(node) :])
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(component)

    for node in graph:
        if node not in order:
            visit(node)
    return found


def room(path: Path) -> str:
    return path.relative_to(ROOT / "aurac").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", source_files("aurac"), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_only_itself_and_earlier_rooms(path: Path) -> None:
    own = room(path)
    if own in {"__init__", "__main__"}:
        return
    assert own in LAYERS, f"{own} is no room; add it to LAYERS where it belongs"
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "aurac" and len(parts) > 1 and parts[1] in LAYERS:
            assert LAYERS.index(parts[1]) <= LAYERS.index(own), f"{own} imports {name}"


def test_the_rooms_stand_in_the_docs_in_this_order() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    assert " -> ".join(LAYERS) in page
    rows = set(re.findall(r"^\| `(?:aurac/)?([a-z_]+)(?:/|\.py)` \|", page, flags=re.MULTILINE))
    assert rows >= set(LAYERS)


def test_no_files_import_each_other_in_a_circle() -> None:
    assert not circles(file_graph())


def test_circles_are_found_and_paths_that_meet_are_none() -> None:
    graph = {"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set(), "x": {"y"}, "y": {"z"}, "z": {"x", "a"}}
    assert circles(graph) == [{"x", "y", "z"}]


@pytest.mark.parametrize("path", source_files("aurac"), ids=lambda p: str(p.relative_to(ROOT)))
def test_aurac_meets_aurac_adapters_only_in_workflows_and_the_command_line_and_lazily(path: Path) -> None:
    if room(path) in {"workflows", "cli"}:
        assert not [name for name in imports(path, module_level_only=True) if name.startswith("aurac_adapters")]
    else:
        assert not [name for name in imports(path) if name.startswith("aurac_adapters")]


@pytest.mark.parametrize("path", source_files("adapters"), ids=lambda p: str(p.relative_to(ROOT)))
def test_aurac_adapters_imports_only_the_first_rooms_of_aurac(path: Path) -> None:
    # fields: a method's and a training's options check themselves, as those of a scoring do; ranks, writing and
    # base_model: what both packages must do alike.
    used = {".".join(name.split(".")[:2]) for name in imports(path) if name.split(".")[0] == "aurac"}
    allowed = ("errors", "registry", "fields", "ranks", "writing", "base_model", "__version__")
    assert used <= {f"aurac.{name}" for name in allowed}


@pytest.mark.parametrize("path", source_files("aurac"), ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_are_imported_where_they_are_used(path: Path) -> None:
    if str(path.relative_to(ROOT)).startswith(MAY_IMPORT_HEAVY):
        return
    assert not {name.split(".")[0] for name in imports(path, module_level_only=True)} & HEAVY
