"""The lowest versions that are allowed are those that are tried."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def pinned(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as numbers; what is not said is 0."""
    parts = tuple(map(int, version.split(".")))
    return (*parts, *[0] * (3 - len(parts)))


def test_constraints_lowest_has_the_lower_end_of_every_requirement() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    lowest = dict(re.match(r"([\w-]+)>=([\d.]+)", line).groups() for line in requirements)  # type: ignore[union-attr]
    tried = pinned("constraints-lowest.txt")
    assert tried.keys() >= lowest.keys()
    for name, version in lowest.items():
        assert numbers(tried[name]) == numbers(version), name


def test_what_is_developed_with_is_no_older_than_the_lowest() -> None:
    newest, lowest = pinned("constraints.txt"), pinned("constraints-lowest.txt")
    for name in newest.keys() & lowest.keys():
        assert numbers(newest[name]) >= numbers(lowest[name]), name
