"""Nothing is wider than the terminal; what folds or is left out says so, and files stay whole."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

import aurac
from aurac.report.formats.terminal import render_table
from aurac.report.table import Table, TableCell
from aurac.report.width import fold, fold_text
from aurac.signature import Signature

RECORDS = sorted(path.parent for path in (Path(__file__).parents[2] / "results/testbed").glob("*/run.json"))
LONG = Table(
    "t",
    ("run", *(f"column {i}" for i in range(12))),
    ((TableCell("a"), *(TableCell("12.34 ± 0.56"),) * 12),),
    ("n " * 90,),
)


def widest(text: str) -> int:
    return max(sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line) for line in text.splitlines())


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_a_table_fits_a_terminal_and_names_the_columns_that_it_left_out(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = render_table(LONG)
    assert widest(text) <= columns
    assert "Left out for want of width: " in text
    assert "column 0" in text
    assert ", column 11. A wider" in " ".join(text.split())


def test_what_matters_least_is_left_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = Table("t", ("run", "a", "b", "c"), ((TableCell("x" * 20), *(TableCell("1" * 10),) * 3),), (), ("b", "a"))
    assert "Left out for want of width: a, b. A" in " ".join(render_table(table).split())
    monkeypatch.setenv("COLUMNS", "80")
    runs = [aurac.load(path) for path in RECORDS]
    alone = aurac.compare(runs[:1]).render("terminal")
    assert "AURAC" in alone.splitlines()[2]
    monkeypatch.setenv("COLUMNS", "54")
    heading = aurac.compare(runs[:2], tasks=["facts", "tilt"]).summary().render("terminal").split("─")[0].split()
    assert [word for word in ("macro", "linear", "p", "facts") if word in heading[-6:]] == ["macro", "p"]


def test_a_file_gets_every_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    text = render_table(LONG)
    assert "Left out" not in text
    assert widest(text) > 120


def test_a_folded_signature_is_read_as_the_whole_one() -> None:
    line = str(aurac.compute(aurac.load(RECORDS[0]), task="tilt").signature)
    for width in (40, 60, 80):
        folded = fold(line, width)
        assert widest(folded) <= width
        assert Signature.parse(folded) == Signature.parse(line)
    assert fold(line, None) == line


def test_text_for_a_terminal_keeps_its_indent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert fold_text("  " + "word " * 12 + "\nshort\n").splitlines()[1].startswith("    word")
    monkeypatch.delenv("COLUMNS")
    assert fold_text("word " * 40) == "word " * 40


@pytest.mark.parametrize(
    "command",
    [
        ("compare", *map(str, RECORDS)),
        ("compare", *map(str, RECORDS), "--full"),
        ("recommend", str(RECORDS[-1]), "--margin", "5"),
        ("signature", *map(str, RECORDS[:2])),
        ("power", "--documents", "1172", "--effect", "1"),
        ("compute", str(RECORDS[0]), "--task", "tilt"),
    ],
    ids=lambda command: " ".join(command[:1]),
)
def test_commands_print_nothing_wider_than_80_columns(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from aurac.cli import main

    monkeypatch.setenv("COLUMNS", "80")
    main(command)
    lines = [line for line in capsys.readouterr().out.splitlines() if not Path(line.strip()).exists()]
    assert widest("\n".join(lines)) <= 80


def test_compare_is_short_by_default_and_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    from aurac.cli import main

    def printed(*options: str) -> str:
        assert main(["compare", *map(str, RECORDS), "--baseline", "lora", *options]) == 0
        return capsys.readouterr().out

    short, full = printed(), printed("--full")
    assert short.startswith("dylora leads on the mean over 3 tasks")
    assert len(short.splitlines()) <= 16
    assert short.endswith("More: --full (tests, each rank, how to read it, signatures), --format, --plot.\n")
    assert len(full.splitlines()) > 60
