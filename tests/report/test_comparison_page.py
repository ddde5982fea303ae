"""`--format html`: a whole page in the style of the leaderboard, and a fragment for notebooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aurac.cli import main
from aurac.report.comparison import compare
from aurac.report.formats import FORMATS
from aurac.report.pages.comparison import printed
from aurac.results import Run
from runs_by_hand import curve

Make = Callable[..., Run]
RECORDS = Path(__file__).parents[2] / "results" / "testbed"


def test_a_comparison_is_a_page_with_verdict_curves_and_all_tables(make_run: Make) -> None:
    made = [make_run(name, curve("arc", seed), curve("hella", seed)) for seed, name in enumerate(("a<b>", "c"))]
    comparison = compare(made)
    page = printed(comparison, "html", "Comparison")
    assert page.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in page
    assert '<p class="verdict">' in page
    assert '"name":"macro"' in page
    assert "a<b>" not in page
    assert page.count('<table class="sortable') == len(comparison.tables())
    assert "href=" not in page.split("<script>")[0]  # a page of the standard output may lie anywhere


@pytest.mark.parametrize("output", [name for name in FORMATS.usable() if name != "html"])
def test_other_formats_are_printed_as_they_are_rendered(make_run: Make, output: str) -> None:
    comparison = compare([make_run("a", curve("arc", 1))])
    assert printed(comparison, output, "Comparison") == comparison.render(output)


@pytest.mark.parametrize(
    ("command", "title"),
    [
        (["compare", RECORDS / "lora", RECORDS / "dylora", "--tasks", "facts"], "Comparison"),
        (["recommend", RECORDS / "lora", "--tasks", "facts"], "Which rank of lora to serve"),
        (["power", "--documents", "100"], "Documents and seeds"),
    ],
)
def test_commands_print_whole_pages(capsys: pytest.CaptureFixture[str], command: list[str], title: str) -> None:
    assert main([*map(str, command), "--format", "html"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("<!doctype html>")
    assert f"<h1>{title}</h1>" in page
    assert page.endswith("</html>\n")
