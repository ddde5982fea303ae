"""The leaderboard page in a real browser: it draws, sorts, filters, answers the keyboard, and asks no other host."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aurac.analysis import rank_costs
from aurac.analysis.adapter_size import Size
from aurac.analysis.collection import SuiteRuns
from aurac.report.comparison import compare
from aurac.report.pages.comparison import printed
from aurac.report.pages.leaderboard import leaderboard_page
from aurac.report.pages.page import Explorer, Picture, write_page
from aurac.report.table import Table, TableCell
from aurac.results import Run
from runs_by_hand import curve

selenium = pytest.importorskip("selenium", reason="the browser tests need the extra aurac[browser]")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no chromium with its chromedriver")

WIDE, NARROW = (1280, 900), (420, 900)
MEAN = "macro (mean over 2 tasks)"
METHODS = {"dylora": 0.06, "lora": 0.0, "matryoshka": 0.3, "svd-lora": -0.1}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    quiet = ("background-networking", "component-update", "sync", "extensions", "default-apps")
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "no-first-run",
        *(f"disable-{name}" for name in quiet),
    ):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def written(make_run: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page beside the records that it was made from."""
    folder = tmp_path_factory.mktemp("results")
    runs = [
        make_run(name, curve("arc", seed, shift=shift), curve("hella", seed + 1, shift=shift), method=name)
        for seed, (name, shift) in enumerate(METHODS.items())
    ]
    runs = [replace(run, path=folder / "demo" / run.name) for run in runs]
    for run in runs:
        (folder / "demo" / run.name).mkdir(parents=True)
        (folder / "demo" / run.name / "run.json").write_text(f'{{"name": "{run.name}"}}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank_costs, "sizes_at", lambda _, ranks: {rank: Size(1000 * rank, 4000 * rank) for rank in ranks})
        write_page(leaderboard_page([SuiteRuns("demo", tuple(runs), ())]), folder / "page.html")
    return folder / "page.html"


@pytest.fixture
def page(browser: Any, written: Path) -> Any:
    browser.set_window_size(*WIDE)
    browser.get(written.as_uri())
    settle(browser)
    return browser


def settle(page: Any) -> None:
    """Wait until a page of another width was drawn anew, which replaces every dot and line."""
    page.execute_script("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def find(page: Any, css: str) -> Any:
    return page.find_element("css selector", css)


def every(page: Any, css: str) -> list[Any]:
    return page.find_elements("css selector", css)


def choose(page: Any, field: str, value: str) -> None:
    from selenium.webdriver.support.select import Select

    Select(find(page, f"select[data-field={field}]")).select_by_value(value)


def first_column(page: Any) -> list[str]:
    """The runs of the leaderboard's rows that are shown, in their order."""
    cells = find(page, "figure.table").find_elements("css selector", "tbody th")
    return [cell.text.split(" ")[0] for cell in cells if cell.is_displayed()]


def test_the_page_draws_a_curve_for_each_run_and_the_still_picture_goes(page: Any) -> None:
    assert len(every(page, "figure.explorer svg g.curve")) == len(METHODS)
    assert len(every(page, "figure.explorer g.curve .dot")) == 4 * len(METHODS)
    assert every(page, "figure.explorer .still") == []


def test_the_page_logs_no_error_and_asks_no_other_host(page: Any) -> None:
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    requests = [
        entry["message"] for entry in page.get_log("performance") if "Network.requestWillBeSent" in entry["message"]
    ]
    assert not [request for request in requests if '"url":"http' in request]


def test_a_point_tells_its_value_interval_and_documents_to_pointer_and_keyboard(page: Any) -> None:
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.support.wait import WebDriverWait

    assert "interval" in find(page, "g.curve .dot").get_attribute("aria-label")

    def hover(_: Any) -> str:
        # Away first: under a pointer that rests, a dot that is drawn anew is not entered.
        ActionChains(page).move_to_element(find(page, "h1")).move_to_element(find(page, "g.curve .dot")).perform()
        return str(find(page, ".tip.shown").text)

    hovered = WebDriverWait(page, 5, ignored_exceptions=(WebDriverException,)).until(hover)
    assert "80 documents of 2 tasks" in hovered
    assert "95 % interval" in hovered


def test_the_picture_is_one_stop_of_the_tab_key_and_arrows_go_from_point_to_point(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> str:
        ActionChains(page).send_keys(*keys).perform()
        tip = every(page, ".tip.shown")
        return str(tip[0].text.split("\n")[0]) if tip else ""

    page.execute_script("document.querySelector('.selection button:last-of-type').focus()")
    names = [button.text for button in every(page, ".legend button")]
    assert press(Keys.TAB) == f"{names[0]}, rank 1"
    assert press(Keys.ARROW_RIGHT) == f"{names[0]}, rank 2"
    assert press(Keys.ARROW_DOWN) == f"{names[1]}, rank 2"
    assert press(*[Keys.ARROW_DOWN] * 9, Keys.ARROW_LEFT, Keys.ARROW_LEFT) == f"{names[-1]}, rank 1"
    assert page.switch_to.active_element.value_of_css_property("outline-style") == "solid"
    assert press(Keys.ESCAPE) == ""
    assert press(Keys.TAB) == ""
    assert page.switch_to.active_element.text == names[0]


def test_axis_task_intervals_and_rows_can_be_chosen(page: Any) -> None:
    def dots(coordinate: str) -> list[float]:
        # In one step: the page may draw anew between two.
        read = "return [...document.querySelectorAll('g.curve .dot')].map(dot => dot.getCTM()[arguments[0]])"
        found: list[float] = page.execute_script(read, coordinate)
        return found

    before = dots("e")
    choose(page, "axis", "linear")
    assert dots("e") != before
    heights = dots("f")
    choose(page, "task", "hella")
    assert dots("f") != heights
    assert every(page, "line.bar")
    find(page, ".tools input[type=checkbox]").click()
    assert every(page, "line.bar") == []
    find(page, ".legend button").click()
    assert len(every(page, "g.curve")) == len(METHODS) - 1
    assert find(page, ".legend button").get_attribute("aria-pressed") == "false"


def test_the_mean_over_tasks_comes_first_and_is_the_mean_of_their_values(page: Any) -> None:
    options = every(page, "select[data-field=task] option")
    assert [option.text for option in options] == [MEAN, "arc", "hella"]
    assert options[0].is_selected()

    def values(task: str) -> list[float]:
        choose(page, "task", task)
        labels = [dot.get_attribute("aria-label") for dot in every(page, "g.curve .dot")]
        return [float(label.split("acc (points): ")[1].split(",")[0]) for label in labels]

    mean, arc, hella = (values(task) for task in ("macro", "arc", "hella"))
    # Two digits are shown.
    assert mean == pytest.approx([(a + h) / 2 for a, h in zip(arc, hella, strict=True)], rel=1e-4, abs=0.01)


def test_costs_that_the_records_know_are_axes(page: Any) -> None:
    offered = [option.get_attribute("value") for option in every(page, "select[data-field=axis] option")]
    assert offered == ["log2", "linear", "params", "bytes", "flops"]  # no run has a profile: no times
    choose(page, "axis", "bytes")
    assert find(page, "figure.explorer svg").get_attribute("aria-label").endswith("against adapter size (bytes)")
    assert every(page, "g.curve .dot")[1].get_attribute("aria-label").endswith("adapter size (bytes): 8,000")  # rank 2


def test_a_run_leads_to_its_record_and_the_table_to_its_signatures(page: Any) -> None:
    links = find(page, "figure.table").find_elements("css selector", "tbody th a")
    assert {link.get_attribute("href").rsplit("/demo/")[1] for link in links} == {f"{n}/run.json" for n in METHODS}
    summary = find(page, "figure.table summary")
    assert summary.text == "How to read this table, and its signatures"
    summary.click()
    assert any(note.text.startswith("AURAC|axis:log2") for note in every(page, "figure.table figcaption"))
    name = links[0].text.split(" ")[0]
    links[0].click()
    assert f'"name": "{name}"' in page.page_source


def test_the_table_is_sorted_by_number_with_pointer_and_keyboard(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    before = first_column(page)
    head = every(page, "figure.table thead th")[1]  # place
    head.send_keys(Keys.ENTER)
    WebDriverWait(page, 5).until(lambda _: head.get_attribute("aria-sort") == "ascending")
    head.click()
    WebDriverWait(page, 5).until(lambda _: first_column(page)[0] != before[0])
    assert sorted(first_column(page)) == sorted(before)
    assert head.get_attribute("aria-sort") == "descending"


def test_the_table_is_filtered_by_words(page: Any) -> None:
    find(page, ".filter input").send_keys("dyl")
    assert first_column(page) == ["dylora"]
    assert "1 of 4 rows" in find(page, ".filter").text


def test_nothing_is_wider_than_a_phone(page: Any) -> None:
    page.set_window_size(*NARROW)
    settle(page)
    assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


@pytest.fixture
def paper(page: Any) -> Iterator[Any]:
    """The page as an A4 sheet has it, within Chromium's margins, from a screen that is dark."""
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": dark})
    sheet = {"width": 717, "height": 1046, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sheet)
    yield page
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_paper_has_every_task_all_that_is_folded_and_nothing_to_press(paper: Any) -> None:
    find(paper, ".legend button").click()
    paper.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert [panel.text.split("\n")[0] for panel in every(paper, ".panel strong")] == [MEAN, "arc", "hella"]
    assert len(every(paper, ".panel g.curve")) == 3 * (len(METHODS) - 1)
    assert all(cell.is_displayed() for cell in every(paper, "td, figcaption"))
    assert not any(control.is_displayed() for control in every(paper, "select, input, .tip"))
    shown = [button.get_attribute("aria-pressed") for button in every(paper, ".legend button") if button.is_displayed()]
    assert shown == ["true"] * (len(METHODS) - 1)
    assert find(paper, "body").value_of_css_property("background-color") == "rgba(255, 255, 255, 1)"
    assert paper.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    fields = "return [...document.querySelectorAll('.panel svg')].map(svg => svg.clientHeight / svg.clientWidth)"
    assert paper.execute_script(fields) == pytest.approx([250 / 350] * 3, rel=0.02)  # whole pixels


def test_after_printing_the_page_is_as_it_was(page: Any) -> None:
    page.print_page()
    assert every(page, "details[open]") == []
    assert len(every(page, "figure.explorer svg g.curve")) == len(METHODS)


LONG = "matryoshka-rank-256-alpha-512-lr-2e-4-warmup-0.03-cosine-" + "x" * 70


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of forty curves with two ranks, one with one rank, and a table of long names."""

    def explorer(n: int, *ranks: int) -> Explorer:
        task = {"name": "arc", "label": "arc", "tasks": 1, "value": "acc (points)", "base": None}
        axis = {"name": "log2", "label": "rank", "unit": "rank", "log": True}
        lines = [
            {
                "name": f"{LONG if number == 1 else 'run'}{number}",
                "look": number % 10,
                "dash": "",
                "marker": "o",
                "tasks": {"arc": {"documents": 9, "points": [_point(rank, 50 + number) for rank in ranks]}},
            }
            for number in range(n)
        ]
        data = {"level": "95 %", "point": "rank", "axes": [axis], "tasks": [task], "curves": lines}
        return Explorer(Picture("x.png", "x", lambda path: path.write_bytes(b"")), lambda: data)

    rows = [(TableCell(LONG), *map(TableCell, ["12.3 ± 4.5"] * 6)) for _ in range(2)]
    table = Table("Long names", ("run", *"abcdef"), tuple(rows))
    path = tmp_path_factory.mktemp("crowded") / "page.html"
    write_page([explorer(40, 1, 8), explorer(1, 8), table], path)
    return path


def _point(rank: int, value: float) -> dict[str, Any]:
    return {"rank": rank, "value": value, "low": value - 1, "high": value + 1, "places": {}}


@pytest.fixture
def crowd(browser: Any, crowded: Path) -> Any:
    browser.set_window_size(*WIDE)
    browser.get(crowded.as_uri())
    settle(browser)
    return browser


def test_of_many_curves_the_first_are_shown_until_one_chooses(crowd: Any) -> None:
    figure = find(crowd, "figure.explorer")

    def shown() -> tuple[int, str]:
        words = figure.find_element("css selector", "figcaption[role=status]").text
        return len(figure.find_elements("css selector", "g.curve")), words

    assert shown() == (12, "12 of 40 curves are drawn.")
    everything, nothing = figure.find_elements("css selector", ".selection button")
    everything.click()
    assert shown() == (40, "")
    edges = "return [...arguments[0].querySelectorAll('.plot .dot')].map(dot => dot.getCTM().e)"
    places = crowd.execute_script(edges, figure)
    width = crowd.execute_script("return arguments[0].querySelector('svg').clientWidth", figure)
    assert min(places) >= 52  # right of the vertical axis
    assert max(places) <= width
    nothing.click()
    assert shown() == (0, "0 of 40 curves are drawn.")
    assert "choose a row" in figure.text


def test_a_single_rank_stands_in_the_middle(crowd: Any) -> None:
    plot = every(crowd, "figure.explorer .plot")[1]
    place = crowd.execute_script("return arguments[0].querySelector('.dot').getCTM().e", plot)
    assert place / plot.rect["width"] == pytest.approx(0.5, rel=0.06)  # the middle, to a few pixels


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_long_names_are_folded_beside_their_numbers(crowd: Any, size: tuple[int, int]) -> None:
    crowd.set_window_size(*size)
    settle(crowd)
    assert crowd.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    first = find(crowd, "tbody td").rect
    assert first["x"] + first["width"] < size[0]


def test_a_comparison_is_printed_as_such_a_page(browser: Any, make_run: Callable[..., Run], tmp_path: Path) -> None:
    runs = [make_run(name, curve("arc", seed), curve("hella", seed)) for seed, name in enumerate(METHODS)]
    (tmp_path / "compared.html").write_text(printed(compare(runs), "html", "Comparison"), encoding="utf-8")
    browser.get((tmp_path / "compared.html").as_uri())
    for size in (WIDE, NARROW):
        browser.set_window_size(*size)
        settle(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert len(every(browser, "figure.explorer g.curve")) == 4
    assert find(browser, "select[data-field=task]").text.startswith(MEAN)
    find(browser, ".filter input").send_keys("dyl")
    assert first_column(browser) == ["dylora"]
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
