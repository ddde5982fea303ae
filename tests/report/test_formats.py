"""Every table format, compared whole with a golden file, and the harmlessness of names that are markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from aurac.report.base import Tables
from aurac.report.formats import FORMATS, html, latex, markdown
from aurac.report.formats.terminal import render_table as render_terminal
from aurac.report.numbers import value_text, with_error
from aurac.report.table import Table, TableCell
from golden_files import assert_golden

NASTY = "a_b<c>&|$x^2%{d}\\#~`*[e](f)"
TABLE = Table(
    title="AURAC by method",
    columns=("method", "arc_challenge", NASTY, "Δ"),
    rows=(
        (TableCell("lora"), TableCell(with_error(0.5262, 0.025)), TableCell("41.0"), TableCell("–")),
        (
            TableCell(NASTY),
            TableCell(with_error(0.6, 0.024), bold=True),
            TableCell("41.0", bold=True, superscript="a"),
            TableCell("+7.4"),
        ),
    ),
    notes=("Error: standard error over documents.", "AURAC|axis:log2|rule:trap|ranks:1-2-4|version:0.1.0"),
)


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_looks_like_its_golden_file(name: str) -> None:
    assert_golden(f"table.{name}.txt", FORMATS[name](Tables((TABLE,))))


def test_terminal_headings_are_broken_and_notes_wrapped_but_signatures_stay_whole() -> None:
    signature = "AURAC|" + "x" * 200
    note = "word " * 40
    lines = render_terminal(
        Table("", ("task", "one two three"), ((TableCell("a"), TableCell("1")),), (note, signature))
    ).splitlines()
    assert lines[:4] == ["      one two", "task    three", "────  ───────", "a           1"]
    assert signature in lines
    assert max(len(line) for line in lines if line != signature) <= 120


def test_markdown_rows_keep_their_number_of_columns_whatever_a_name_holds() -> None:
    lines = [line for line in markdown.render_table(TABLE).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(TABLE.columns) + 1}


def test_latex_rows_keep_their_number_of_columns_whatever_a_name_holds() -> None:
    rows = [line for line in latex.render_table(TABLE).splitlines() if line.endswith(r" \\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(TABLE.columns) - 1}


def test_html_holds_no_tag_that_came_from_a_name() -> None:
    tags: set[str] = set()

    class Collect(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.add(tag)

    Collect().feed(html.render_table(TABLE))
    assert "c" not in tags
    assert tags == {"figure", "table", "caption", "thead", "tbody", "tr", "th", "td", "strong", "sup", "figcaption"}


def test_terminal_columns_are_aligned_and_control_characters_are_dropped() -> None:
    table = Table("t", ("name", "x"), ((TableCell("a\x1b[31m"), TableCell("1")), (TableCell("日本"), TableCell("22"))))
    text = render_terminal(table, bold=False)
    assert "\x1b" not in text
    assert text.splitlines()[2:] == ["name     x", "──────  ──", "a [31m   1", "日本    22"]


def test_bold_is_printed_only_where_it_is_wanted() -> None:
    table = Table("", ("name", "x"), ((TableCell("a"), TableCell("1", bold=True)),))
    assert "\x1b[1m1\x1b[0m" in render_terminal(table, bold=True)
    assert "\x1b" not in render_terminal(table, bold=False)


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.5262, 0.0253, "52.6 ± 2.5"),
        (0.52618, 0.00253, "52.62 ± 0.25"),
        (1.0, 0.0, "100.00 ± ?"),
        (None, None, "–"),
    ],
)
def test_digits_follow_the_standard_error(value: float | None, stderr: float | None, text: str) -> None:
    assert with_error(value, stderr) == text


def test_values_that_are_not_fractions_are_printed_as_they_are() -> None:
    assert value_text(1.2345, 0.01, unit=1.0) == "1.234"
