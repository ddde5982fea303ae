"""The leaderboard page: whole, escaped, the same for the same records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from aurac.analysis.collection import SuiteRuns
from aurac.analysis.compare import compare
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError, UnknownNameError
from aurac.report.pages.explorer import explorer_data
from aurac.report.pages.leaderboard import leaderboard_page
from aurac.report.pages.page import Explorer, Folded, Heading, Paragraph, Picture, write_page
from aurac.report.plots.looks import looks
from aurac.report.table import Table
from aurac.results import Run
from golden_files import assert_golden
from runs_by_hand import curve

Make = Callable[..., Run]
NASTY = 'a_b<c>&|"$x$`*[e](f)'


@pytest.fixture(scope="module")
def suites(make_run: Make) -> list[SuiteRuns]:
    runs = [
        make_run(name, curve("arc", seed, shift=s), curve("hella", seed + 1, shift=s), method=name)
        for seed, (name, s) in zip((1, 3, 5), {"dylora": 0.06, "lora": 0.0, "matryoshka": 0.3}.items(), strict=True)
    ]
    broken = replace(make_run("broken"), problems={"arc": "task 'arc' failed at rank 4: NaN"})
    nasty = make_run(NASTY, curve("t<script>|", 1))
    return [SuiteRuns("demo", tuple(runs), (broken,)), SuiteRuns(f"x/{NASTY}", (nasty,), ())]


def test_a_markdown_page_looks_like_its_golden_file_and_has_its_plots_beside_it(
    suites: list[SuiteRuns], tmp_path: Path
) -> None:
    write_page(leaderboard_page(suites), tmp_path / "LEADERBOARD.md")
    text = (tmp_path / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert_golden("leaderboard-page.md.txt", text)
    pictures = re.findall(r"\]\((plots/[^)]*)\)", text)
    assert len(pictures) == 3
    assert all((tmp_path / picture).stat().st_size > 1000 for picture in pictures)


@pytest.fixture(scope="module")
def page(suites: list[SuiteRuns], tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    write_page(leaderboard_page(suites), folder / "page.html")
    assert [path.name for path in folder.iterdir()] == ["page.html"]
    return (folder / "page.html").read_text(encoding="utf-8")


def test_an_html_page_stands_alone_and_holds_no_tag_that_came_from_a_name(suites: list[SuiteRuns], page: str) -> None:
    short = re.sub("<(style|script)>.*?</(style|script)>", r"<\1>...</\1>", page, flags=re.S)
    assert_golden("leaderboard-page.html.txt", re.sub('base64,[^"]*', "base64,...", short))
    tags: list[str] = []

    class Collect(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.append(tag)

    Collect().feed(page)
    assert tags.count("script") == 2 + len(suites)  # sorting and drawing, and the data of each suite
    assert "c" not in tags
    assert tags.count("img") == 3
    assert len(page) < 600_000


def test_the_data_to_explore_are_json_that_no_name_can_end(page: str) -> None:
    plain, nasty = (json.loads(data) for data in re.findall(r'<script type="application/json">(.*?)</script>', page))
    assert [curve["name"] for curve in nasty["curves"]] == [NASTY]
    assert [task["name"] for task in plain["tasks"]] == ["macro", "arc", "hella"]
    point = plain["curves"][0]["tasks"]["arc"]["points"][0]
    assert point["low"] <= point["value"] <= point["high"] <= 100
    assert [axis["name"] for axis in plain["axes"]] == ["log2", "linear"]  # no weights are at hand: no parameters


def test_the_same_records_give_the_same_pages(suites: list[SuiteRuns], page: str, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_page(leaderboard_page(suites), tmp_path / folder / "a.md")
    one, two = (
        {p.relative_to(tmp_path / f): p.read_bytes() for p in (tmp_path / f).rglob("*.*")} for f in ("one", "two")
    )
    assert one == two
    write_page(leaderboard_page(suites), tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == page


def test_the_baseline_is_the_only_run_of_that_name_or_method_else_the_first(suites: list[SuiteRuns]) -> None:
    def titles(baseline: str) -> list[str]:
        folded = [b for b in leaderboard_page(suites[:1], baseline=baseline) if isinstance(b, Folded)]
        return [b.title for fold in folded for b in fold.blocks if isinstance(b, Table)]

    assert "Paired difference to lora" in titles("lora")
    assert "Paired difference to matryoshka" in titles("matryoshka")
    assert "Paired difference to dylora" in titles("absent")


def test_a_run_leads_to_its_record_from_wherever_the_page_is(make_run: Make, tmp_path: Path) -> None:
    named = "a b(1)&<"
    run = replace(make_run(named, curve("arc", 1)), path=tmp_path / "records" / named)
    blocks = leaderboard_page([SuiteRuns("x", (run, make_run("not on disk", curve("arc", 2))), ())])
    for page in (tmp_path / "pages/x.md", tmp_path / "x.html"):
        write_page(blocks, page)
    assert "(../records/a%20b%281%29%26%3C/run.json)" in (tmp_path / "pages/x.md").read_text(encoding="utf-8")
    links = re.findall('href="([^"]*)"', (tmp_path / "x.html").read_text(encoding="utf-8"))
    assert links == ["records/a%20b%281%29%26%3C/run.json"] * 2  # leaderboard and provenance


def test_a_run_that_lacks_a_task_is_named_and_not_ranked(suites: list[SuiteRuns]) -> None:
    texts = [block.text for block in leaderboard_page(suites) if isinstance(block, Paragraph)]
    assert "Not ranked: broken, which lacks tasks. arc: task 'arc' failed at rank 4: NaN" in texts


def test_a_suite_of_broken_runs_only_has_no_table_of_scores(suites: list[SuiteRuns]) -> None:
    blocks = leaderboard_page([SuiteRuns("x", (), suites[0].incomplete)])
    assert not any(isinstance(block, (Picture, Explorer)) for block in blocks)
    assert [block.text for block in blocks if isinstance(block, Heading)] == ["Leaderboard", "x"]


def test_a_run_without_documents_has_no_rank_to_deploy(make_run: Make) -> None:
    bare = make_run("bare", RankAccuracyCurve((1, 2), (0.1, 0.2), task="arc"))
    table = next(
        b for b in leaderboard_page([SuiteRuns("x", (bare,), ())]) if "Smallest rank" in getattr(b, "title", "")
    )
    assert [cell.text for cell in table.rows[0]] == ["bare", *["–"] * 5]  # type: ignore[union-attr]
    assert any("no per-document scores" in note for note in table.notes)  # type: ignore[union-attr]


def test_margin_and_ending_are_checked(suites: list[SuiteRuns], tmp_path: Path) -> None:
    with pytest.raises(CurveError, match=r"margin 0 is not positive"):
        leaderboard_page(suites, margin=0.0)
    with pytest.raises(UnknownNameError, match=r"unknown kind of page '.txt'. Known: .html, .md"):
        write_page([], tmp_path / "x.txt")


def test_a_line_to_explore_looks_as_in_the_still_picture_wherever_its_row_is(make_run: Make) -> None:
    runs = [make_run(name, curve("arc", 1, shift=shift)) for name, shift in (("low", -0.3), ("high", 0.3))]
    lines = explorer_data(compare(runs))["curves"]
    assert [line["name"] for line in lines] == ["high", "low"]
    assert [line["marker"] for line in lines] == [look["marker"] for look in reversed(looks(["low", "high"]))]
