from __future__ import annotations

from pathlib import Path

import pytest

from aurac import compute
from aurac.curve.files import read_curve
from aurac.errors import CurveError, RecordError
from aurac.results import load


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.csv", "rank,accuracy\n1,0.25\n2,0.5\n"),
        ("c.csv", "\ufeffaccuracy, rank , note\r\n0.5, 2,x\r\n0.25, 1,y\r\n\r\n"),
        ("c.CSV", "rank,accuracy\n1.0,2.5e-1\n2,.5\n"),
        ("c.json", '{"1": 0.25, "2": 0.5}'),
        ("c.json", '{"ranks": [2, 1], "accuracies": [0.5, 0.25], "task": "arc"}'),
    ],
)
def test_a_curve_is_read_from_csv_and_json(tmp_path: Path, name: str, text: str) -> None:
    curve = read_curve(write(tmp_path, name, text))
    assert (curve.ranks, curve.accuracies.tolist(), curve.name) == ((1, 2), [0.25, 0.5], "c")


def test_percent_needs_to_be_said(tmp_path: Path) -> None:
    file = write(tmp_path, "c.csv", "rank,accuracy\n1,25\n2,50\n")
    assert read_curve(file, scale="percent").accuracies.tolist() == [0.25, 0.5]
    with pytest.raises(CurveError, match=r"c\.csv: the accuracy at rank 1 is 25, above 1"):
        read_curve(file)


def test_a_file_with_several_tasks_needs_to_know_which(tmp_path: Path) -> None:
    file = write(tmp_path, "c.csv", "rank,accuracy,task\n1,0.25,arc\n1,0.5,hellaswag\n")
    assert read_curve(file, task="hellaswag").accuracies.tolist() == [0.5]
    with pytest.raises(CurveError, match=r"has 2 tasks. Choose one: arc, hellaswag; say task='arc'\."):
        read_curve(file)
    with pytest.raises(CurveError, match=r"has no task 'mmlu'. Choose one: arc, hellaswag"):
        read_curve(file, task="mmlu")


def test_a_file_with_several_metrics_needs_to_know_which(tmp_path: Path) -> None:
    file = write(tmp_path, "c.csv", "rank,accuracy,metric\n1,0.25,acc\n1,0.5,f1\n")
    curve = read_curve(file, metric="f1")
    assert (curve.accuracies.tolist(), curve.metric) == ([0.5], "f1")
    with pytest.raises(CurveError, match=r"has 2 metrics. Choose one: acc, f1; say metric='acc'\."):
        read_curve(file)
    with pytest.raises(CurveError, match=r"c\.csv does not say which task it is, so 'arc' cannot be chosen"):
        read_curve(file, task="arc")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.csv", "rank,precision\n1,0.5\n", r"c\.csv, line 1: the header is 'rank,precision'. Needed: rank,accuracy"),
        ("c.csv", "", r"c\.csv is empty\. Needed: CSV with the header rank,accuracy"),
        ("c.csv", "rank,accuracy\n", "has a header but no rows"),
        ("c.csv", "rank,accuracy\n1,0.5\nx,0.6\n", "line 3: rank 'x' and accuracy '0.6' are not a whole number"),
        ("c.csv", "rank,accuracy\n1,0.5\n2\n", "line 3: rank '2' and accuracy None"),
        ("c.csv", "rank,accuracy\n1.5,0.5\n", "line 2: rank '1.5'"),
        ("c.csv", "rank,accuracy\ninf,0.5\n", "line 2: rank 'inf'"),
        ("c.csv", "rank,accuracy\n0,0.5\n", r"c\.csv: rank 0 is not positive"),
        ("c.json", '{"1": 0.5,}', "line 1: not JSON"),
        ("c.json", "[1, 2]", "holds no curve. Needed: "),
        ("c.json", "{}", "holds no curve"),
        ("c.json", '{"1": "a"}', "accuracies must be numbers"),
        ("c.json", '{"1": null}', "accuracy at rank 1 is nan"),
        ("c.json", '{"-1": 0.5}', "rank -1 is not positive"),
        ("c.json", '{"1": 0.5, "1": 0.6}', "the key '1' occurs twice"),
        ("c.yaml", "1: 0.5", r"c\.yaml is not a curve file. Allowed: CSV with the header rank,accuracy"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(CurveError, match=message):
        read_curve(write(tmp_path, name, text))


def test_bytes_that_are_no_text_are_said_so(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes(b"rank,accuracy\n1,\xff\n")
    with pytest.raises(CurveError, match="is not UTF-8 text"):
        read_curve(tmp_path / "c.csv")


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CurveError, match=r"there is no file .*none\.csv"):
        read_curve(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "c.csv",
            "rank,accuracy\n1,0,5\n2,0,6\n",
            r"line 2: more fields than the 2 of the header\. Write decimal points",
        ),
        ("c.csv", "rank,accuracy,rank\n1,0.5,3\n", r"line 1: the column rank occurs twice\. Keep one of them"),
        ("c.csv", "rank,accuracy,task\n1,0.5\n2,0.6,b\n", r"line 2: the task is missing\. Give one in every row"),
        ("c.csv", f"rank,accuracy\n{'x' * 200_000},1\n", r"line \d: no CSV \(field larger than field limit"),
        ("c.json", f'{{"1": {"9" * 5000}}}', r"cannot be read as JSON: Exceeds the limit"),
        ("c.json", "[" * 100_000, r"cannot be read as JSON: maximum recursion"),
        ("c.json", f'{{"{"9" * 5000}": 0.5}}', "holds no curve"),
        ("c.json", '{"--1": 0.5, "3": 0.6}', "holds no curve"),
        ("c.json", '{"\u00b2": 0.5, "3": 0.6}', "holds no curve"),
        (
            "c.json",
            '{"ranks": [1, 2], "accuracies": [0.1, 0.2], "task": ["a"]}',
            r"has the task \['a'\]; a text is needed",
        ),
    ],
)
def test_what_would_be_misread_or_break_the_reader_is_refused(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(CurveError, match=message):
        read_curve(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.json", '{"1": true, "2": 0.5}', r"c\.json holds true or false where a number is needed"),
        ("c.json", '{"ranks": [true, 2], "accuracies": [0.1, 0.2]}', r"c\.json holds true or false where a number"),
        (
            "c.json",
            '{"1": 0.1, "9007199254740993": 0.2}',
            r"rank 9\.0072e\+15 is too large; a rank is less than 2\*\*53",
        ),
        ("c.csv", "rank,accuracy\n1,0.1\n1e18,0.2\n", r"c\.csv: rank 1e\+18 is too large; a rank is less than 2\*\*53"),
    ],
)
def test_numbers_that_are_none_or_cannot_be_told_apart_are_refused(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CurveError, match=message):
        read_curve(tmp_path / name)


def test_a_task_of_a_file_without_tasks_is_refused(tmp_path: Path) -> None:
    curves = {"a.csv": "rank,accuracy\n1,0.1\n", "a.json": '{"1": 0.1}'}
    for name, text in curves.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(CurveError, match=rf"{name} does not say which task it is, so 'arc' cannot be chosen"):
            read_curve(tmp_path / name, task="arc")
    (tmp_path / "b.json").write_text('{"ranks": [1], "accuracies": [0.1], "task": "piqa"}')
    with pytest.raises(CurveError, match=r"b\.json has the task 'piqa', not 'arc'\. Give that, or no task"):
        read_curve(tmp_path / "b.json", task="arc")
    assert read_curve(tmp_path / "b.json", task="piqa").task == "piqa"


def test_an_empty_path_is_not_this_folder() -> None:
    with pytest.raises(RecordError, match=r"the path is empty\. Give a \.csv or \.json curve"):
        compute("")
    with pytest.raises(RecordError, match=r"the path of the record is empty\. Give a folder"):
        load("")


@pytest.mark.parametrize("header", ["Rank,Acc", "RANK, Accuracy", "r,acc", "rank,accuracy"])
def test_headings_are_understood_as_people_write_them(header: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(f"{header}\n1,0.25\n2,0.5\n")
    assert compute(tmp_path / "c.csv").value == 0.375
