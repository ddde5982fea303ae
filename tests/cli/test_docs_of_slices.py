"""docs/serving.md and docs/checkpoints.md against the command line and the table of layouts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from aurac.cli import parse_args
from aurac_adapters.export.checkpoints.layouts import LAYOUTS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["serving.md", "checkpoints.md"])
def test_the_commands_can_be_read(name: str) -> None:
    commands = re.findall(r"^aurac .*", (DOCS / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert commands
    for command in commands:
        assert parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_its_row_with_its_keys(layout: str) -> None:
    text = (DOCS / "checkpoints.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{layout}`.*", text, flags=re.MULTILINE)
    assert row is not None
    assert all(f"`{end}`" in row[0] for end in LAYOUTS[layout].ends)
