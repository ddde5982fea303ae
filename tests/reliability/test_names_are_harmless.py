"""Names from files come out harmless in every format, in plots and in the names of files."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aurac.curve.curve import RankAccuracyCurve
from aurac.report.base import Tables
from aurac.report.comparison import compare
from aurac.report.formats import FORMATS
from aurac.report.formats.csv import csv_text
from aurac.report.plots.kinds import KINDS, PlotOptions, draw
from aurac.report.plots.style import SUFFIXES, write
from aurac.report.table import Table, TableCell
from aurac.results import Run
from records_by_hand import make_cell
from records_by_hand import write as write_record

NASTY = (
    "../../etc/passwd",
    "a/b",
    "\x1b[2J\x1b[31mred",
    "nul\x00 bell\x07 c1\x9b31m",
    "line\nbreak\r| a | b |",
    "\u202egnp.exe",
    "half\udcff",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[x](javascript:alert(1))",
    "$\\input{/etc/passwd}$",
    "\\write18{rm -rf ~}%",
    "_hidden",
    "$\\frac{",
    "=cmd|' /C calc'!A0",
    "+1",
    "@SUM(A1)",
    " =1+1",
    "\uff1d1+1",
)
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def table(name: str) -> Tables:
    rows = ((TableCell(name), TableCell("1", superscript=name)), (TableCell("b"), TableCell(name)))
    return Tables((Table(name, ("run", name), rows, (name,)),))


def runs(name: str) -> list[Run]:
    rng = np.random.default_rng(0)
    made = []
    for run in (name, "other"):
        scores = (rng.random((40, 3)) < 0.5).astype(float)
        documents = [f"d{i}" for i in range(40)]
        curve = RankAccuracyCurve.from_scores((1, 2, 4), scores, documents=documents, task=name, metric="acc")
        record = {"identity": {"adapter": {"method": name, "sidecar": False, "gain": 2.0, "max_rank": 4}}}
        made.append(Run(run, None, record, {name: curve}))
    return made


@pytest.mark.parametrize("name", NASTY, ids=ascii)
@pytest.mark.parametrize("output", FORMATS)
def test_a_table_holds_no_control_character_and_no_line_more(output: str, name: str) -> None:
    text = FORMATS[output](table(name))
    assert not CONTROL.search(text)
    assert text.encode()
    if output != "terminal":  # where long headings are broken
        assert text.count("\n") == FORMATS[output](table("name")).count("\n")


class Collect(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, ...]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, *(name for name, _ in attrs)))


def tags(page: str) -> set[tuple[str, ...]]:
    collect = Collect()
    collect.feed(page)
    return collect.found


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_a_name_is_no_markup(name: str) -> None:
    assert tags(FORMATS["html"](table(name))) == tags(FORMATS["html"](table("name")))
    markdown = FORMATS["markdown"](table(name))
    assert not re.search(r"<(?!/?sup>)", markdown)
    assert not re.search(r"(?<!\\)\]\(", markdown)
    latex = FORMATS["latex"](table(name))
    escapes = {"textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar"}
    known = set(re.findall(r"\\([A-Za-z]+)", FORMATS["latex"](table("name"))))
    assert set(re.findall(r"\\([A-Za-z]+)", latex)) <= known | escapes
    assert not re.search(r"(?<!\\)[%$#]", latex)


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_a_comparison_is_harmless_in_every_output(name: str) -> None:
    comparison = compare(runs(name))
    for output in FORMATS:
        text = comparison.render(output)
        if output == "json":
            assert json.loads(text)["rows"][0]["task"] == name
        elif output == "csv":
            cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
            assert not [c for c in cells if c.lstrip().startswith(("=", "+", "@", "\uff1d"))]
        else:
            assert not CONTROL.search(text)


def test_numbers_stay_numbers_in_a_spreadsheet() -> None:
    assert csv_text([{"a": -1.5, "b": "-x"}]) == "a,b\n-1.5,'-x\n"


@pytest.mark.parametrize("kind", KINDS)
def test_every_plot_can_be_drawn_whatever_runs_and_tasks_are_called(kind: str, tmp_path: Path) -> None:
    options = PlotOptions(
        tasks=None,
        axis="log2",
        confidence_level=0.95,
        baseline="other" if kind == "difference" else None,
        bases={},
        reference=None,
    )
    for number, name in enumerate(("$\\frac{", "_hidden", "half\udcff\x00\x1b\n<script>")):
        path = tmp_path / f"{number}{SUFFIXES[number]}"
        made = runs(name)
        write(partial(draw, kind, made, options), path)
        assert path.stat().st_size > 0
        assert path.suffix != ".svg" or "<script" not in path.read_text()


@pytest.mark.parametrize("name", ["../../x/y", "\x1b[2J<script>$\\frac{|", "=1+1"], ids=ascii)
def test_pages_of_nasty_tasks_hold_them_as_text_and_stay_in_their_folder(
    name: str, tmp_path: Path, call: Callable[..., Any]
) -> None:
    suite = tmp_path / "results" / f"suite {name.replace('/', '-')}"
    for run in ("one", "two"):
        write_record(suite / run, [make_cell(name, rank, [rank % 2, 1, 0, 1]) for rank in (1, 2, 4)])
    before = set(tmp_path.rglob("*"))
    pages = [tmp_path / "page.md", tmp_path / "page.html"]
    done = call("report", tmp_path / "results", "--out", pages[0], "--out", pages[1], "--baseline", "one")
    assert done.status == 0, done.err
    for page in pages:
        assert not CONTROL.search(page.read_text())
    new = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path not in before}
    assert {str(path.parent) for path in new} <= {".", "plots"}
    text = pages[1].read_text()
    assert text.count("<script") == 3  # the page's own: what sorts, what draws, and the data that are drawn
    assert not [attributes for tag, *attributes in tags(text) if tag == "script" and "src" in str(attributes)]


def test_a_folder_that_is_no_utf8_is_printed_on_a_terminal_that_knows_ascii_only(tmp_path: Path) -> None:
    folder = tmp_path / "half\udcff"
    write_record(folder, [make_cell("t", rank, [rank % 2, 1, 0, 1]) for rank in (1, 2)])
    code = f"""
import sys
from aurac.cli import main
for output in ("terminal", "json"):
    if main(["compare", {str(folder)!r}, "--format", output]):
        sys.exit(1)
"""
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
