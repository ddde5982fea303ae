"""What is committed under results/ comes from the records beside it."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from aurac.cli import main

RESULTS = Path(__file__).parents[1] / "results"


@pytest.mark.slow
def test_the_committed_leaderboard_is_what_the_records_give(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copytree(RESULTS, tmp_path / "results")
    (tmp_path / "results" / "LEADERBOARD.md").unlink()
    assert main(["report", str(tmp_path / "results")]) == 0
    capsys.readouterr()
    made = (tmp_path / "results" / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert made == (RESULTS / "LEADERBOARD.md").read_text(encoding="utf-8")
