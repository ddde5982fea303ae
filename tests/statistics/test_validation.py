"""The committed table of coverages: the script that wrote it still runs, and every bar in it is kept."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "validation.md"


def first_columns(page: str) -> list[list[str]]:
    return [line.split(" | ")[:2] for line in page.splitlines() if line.startswith("| ")]


def test_every_bar_in_the_committed_table_is_kept_or_the_tool_prints_a_caution_there() -> None:
    lines = TABLE.read_text().splitlines()
    assert not any("**missed**" in line for line in lines)
    page = "\n".join(line for line in lines if "the tool says" not in line)
    bars = re.findall(r"\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|", page)
    assert len(bars) > 80
    for rate, error, low, high in bars:
        # The table has three digits.
        assert float(low) - 2 * float(error) - 0.001 <= float(rate) <= float(high) + 2 * float(error) + 0.001


@pytest.mark.slow
def test_the_script_makes_the_same_rows_again(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "validate_statistics.py"
    subprocess.run([sys.executable, script, "--simulations", "10", "--out", tmp_path / "again.md"], capture_output=True)
    ours = TABLE.read_text().partition("<!--")[0]
    assert first_columns((tmp_path / "again.md").read_text()) == first_columns(ours)


@pytest.mark.slow
def test_the_script_for_parts_of_the_documents_makes_the_same_rows_again(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "validate_parts.py"
    subprocess.run([sys.executable, script, "--simulations", "4", "--out", tmp_path / "again.md"], capture_output=True)
    ours = TABLE.read_text().partition("<!--")[2]
    assert first_columns((tmp_path / "again.md").read_text()) == first_columns(ours)
