"""README and docs/: links lead somewhere, commands are ones that the command line takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurac.cli import parse_args

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.M | re.S)
_SHELL = {"|", ">", "&&", ";", "*"}
"""What a shell would do with a command before `aurac` sees it."""


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ +(.*)$", _FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-") for heading in headings}


def commands(page: Path) -> Iterator[str]:
    """Commands that start with `aurac`, in fenced or indented blocks; `$ ` and continued lines are understood."""
    text = page.read_text().replace("\\\n", " ")
    blocks = [*_FENCE.findall(text), *re.findall(r"(?:^    .+\n?)+", _FENCE.sub("", text), re.M)]
    for block in blocks:
        for line in block.splitlines():
            line = line.strip().removeprefix("$ ")
            if re.match(r"aurac [a-z-]", line):
                yield line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text())
    for link in _LINK.findall(text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to {link}; there is {sorted(anchors(target))}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_one_that_the_command_line_takes(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(line, comments=True)[1:]
        if set(words) & _SHELL or "..." in words:
            continue
        try:
            parse_args(words)
        except SystemExit as stop:
            assert stop.code == 0, f"{page.name}: {line}"  # noqa: PT017
