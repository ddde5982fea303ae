"""Wrong words on the command line are one line on standard error, with the near name, and exit status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aurac.cli import main
from aurac.cli.spelling import spelled
from aurac.testbed import MODEL
from aurac.writing import check_can_be_written

RECORDS = Path(__file__).parents[2] / "results/testbed"

MISTAKES = {
    "scroe a --tasks arc": r"unknown command 'scroe'. Did you mean 'score'",
    "train --method matroshka --model m --data d --rank 4 --out o": (
        "unknown value of --method 'matroshka'. Did you mean 'matryoshka'"
    ),
    "plot curve a": "unknown value of KIND 'curve'. Did you mean 'curves'?",
    "compare a --format latx": "unknown value of --format 'latx'. Did you mean 'latex'?",
    "compare a --basline lora": "unknown option '--basline'. Did you mean '--baseline'?",
    "score a --tasks arc --inferense prefix": "unknown option '--inferense'. Did you mean '--inference'?",
    "score a --tasks arc --ranks one,two": "argument --ranks: 'one,two' is no list of ranks such as 1,2,4.",
    "score a --tasks arc --limit many": "argument --limit: 'many' is no number.",
    "score a": "the following arguments are required: --tasks. See aurac score --help.",
    "compare": "the following arguments are required: RUN. See aurac compare --help.",
    "recommend a --margin": "argument --margin: expected one argument. See aurac recommend --help.",
    "compute a b": "'b' is one argument too many. See aurac compute --help.",
    "slice a --rank x --out b": "See aurac slice --help.",
    "train --base m": "unknown option '--base'. Did you mean '--model'?",
    "train --lr 0.1": "unknown option '--lr'. Did you mean '--learning-rate'?",
    "score a --output-dir b": "unknown option '--output-dir'. Did you mean '--out'?",
    "score --help-me": "unknown option '--help-me'. Did you mean '--help'?",  # before what else is missing
    "compare a --tasks arc,,mmlu": "argument --tasks: 'arc,,mmlu' is no list of tasks such as arc,hellaswag.",
    "compare a --seed x": "argument --seed: 'x' is no whole number.",
    "train --method lora --model m --data d --out o --rank 0": "argument --rank: '0' is no number from 1.",
    "recommend a --margin 1%": "argument --margin: '1%' is no number of points above 0, such as 1 or 0.5.",
    "recommend a --margin -1": "argument --margin: '-1' is no number of points above 0, such as 1 or 0.5.",
    "recommend a --alpha 5": "argument --alpha: 5 is not between 0 and 1, both excluded; 5 % is 0.05.",
    "power --effect 150": "argument --effect: 150 is more than the 100 points between an accuracy of 0 and of 1.",
    "power --sd -1": "argument --sd: '-1' is no standard deviation in points, from 0 to 100, such as 30.",
    "compute c.csv --within one 2": "argument --within: 'one' is no number.",
    "": "the following arguments are required: COMMAND. See aurac --help.",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(line.split())
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert MISTAKES[line] in err


FILES = {
    "percent.csv": "rank,accuracy\n1,20\n2,30\n",
    "twice.csv": "rank,accuracy\n1,0.2\n2,0.3\n2,0.4\n",
    "nan.csv": "rank,accuracy\n1,0.2\n2,nan\n",
    "german.csv": "Rang;Genauigkeit\n1;0,2\n",
    "comma.csv": "rank;accuracy\n1;0,2\n",
    "metrics.csv": "rank,accuracy,metric\n1,0.2,acc\n1,0.3,f1\n",
    "empty.csv": "",
    "notes.txt": "hello\n",
    "fake.pt": "hello\n",
    "rows.jsonl": '{"prompt": "a", "completion": "b"}\n',
    "adapter/adapter_config.json": "{}",
}
# What the files or the values say; the command line could be read, so the status is 1.
IN_FILES = {
    "compute percent.csv": "the accuracy at rank 1 is 20, above 1. For percentages say --scale percent.",
    "compute twice.csv": "rank 2 occurs 2 times. Give each rank once, or average with --duplicates mean.",
    "compute nan.csv": "nan.csv: the accuracy at rank 2 is nan, not a number. Leave the rank out or measure it.",
    "compute german.csv": "line 1: the header is 'Rang;Genauigkeit'. Needed: rank,accuracy.",
    "compute comma.csv": "accuracy '0,2' are not a whole number and a number. Write them like 4 and 0.47 (or 47 with "
    "--scale percent), and leave out ranks that were not measured.",
    "compute empty.csv": "empty.csv is empty. Needed: CSV with the header rank,accuracy",
    "compute metrics.csv": "metrics.csv has 2 metrics. Choose one: acc, f1; say --metric acc.",
    "compute RECORDS": "The folders in it do: dylora, lora, matryoshka-prefix, matryoshka-trained, svd-lora. Give one",
    "compute RECORDS/lora --task fcts": "unknown task 'fcts' in run 'lora'. Did you mean 'facts'?",
    "compute RECORDS/lora --task facts --within 8 1": "Give two ranks between them, the smaller one first.",
    "compare RECORDS/lora RECORDS/dylora --margin 150": (
        "--margin 150 is the whole range of a metric between 0 and 100 points, so everything would be within it. Give "
        "points below 100, for example --margin 1."
    ),
    "recommend RECORDS/lora --margin 100": "Give points below 100, for example --margin 1.",
    "compare RECORDS/lora/run.json": "run.json is a file, no folder of a run record. Give its folder, ",
    "recommend notes.txt": "notes.txt is a file, no folder of a run record. Give a folder that `aurac score` wrote.",
    "report notes.txt": "notes.txt is a file, no folder. Give a folder with run records.",
    "bench adapter --out o": "adapter is a folder. Give a TOML file",
    "convert notes.txt --out o": "notes.txt is not a checkpoint: torch.save wrote no such file",
    "convert fake.pt --out o --base b --method lora": "fake.pt is not a checkpoint: torch.save wrote no such file",
    "convert missing.pt --out o": "no such file: missing.pt",
    "info adapter": "adapter_config.json does not say what kind of adapter it is (peft_type). Save the adapter with",
    "plot curves RECORDS/lora --out x.png --base =25": "--base '=25' is not TASK=POINTS. Give for example arc=41.2.",
    "train --method lora --model m --data rows.jsonl --learning-rate 0 --out o": "--learning-rate is 0; it must be",
    "score adapter --tasks arc --engine server --url localhost:9": "--url 'localhost:9' is no address of a server.",
    "score adapter --tasks arc --engine server --url http://127.0.0.1:9/v1 --served-name r": "--served-name 'r' has no",
    "export RECORDS/lora --format parquet --out notes.txt/x": "notes.txt is a file, so nothing can lie below it.",
}


@pytest.mark.parametrize("line", IN_FILES)
def test_a_mistake_in_a_file_is_one_line_in_the_spelling_of_the_command_line(
    line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aurac.workflows.sweep.measure", lambda *_, **__: pytest.fail("said too late"))
    status = main([word.replace("RECORDS", str(RECORDS)) for word in line.split()])
    out, err = capsys.readouterr()
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert IN_FILES[line] in err


def test_an_error_of_the_disk_names_the_file_that_was_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is written lies beside it under another name until it is whole, which nobody typed."""

    def refuse(source: str, _: str) -> None:
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr(os, "replace", refuse)
    assert main(["export", str(RECORDS / "lora"), "--format", "eee", "--out", str(tmp_path / "x.json")]) == 1
    assert f"error: Permission denied: {tmp_path / 'x.json'}\n" in capsys.readouterr().err


def test_a_margin_that_looks_like_a_fraction_is_remarked_on() -> None:
    with (
        pytest.warns(UserWarning, match=r"--margin counts points of 100: 0.01 is 0.0001 of them all. One point is 1\."),
        pytest.raises(SystemExit),
    ):
        main(["recommend", "--margin", "0.01"])


def test_names_of_options_become_flags_and_other_words_stay() -> None:
    flags = {"scale": "--scale", "max_rank": "--rank", "task": "--task"}
    assert spelled("no task: say scale='percent' or task=.", flags) == "no task: say --scale percent or --task."
    assert spelled("max_rank 0, method.max_rank and 'max_rank'", flags) == "--rank 0, method.max_rank and 'max_rank'"
    assert spelled("say scale='percent' (--scale percent)", flags) == "say scale='percent' (--scale percent)"


def test_columns_may_be_parted_by_semicolons_or_tabs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for mark in (";", "\t"):
        file = tmp_path / "curve.csv"
        file.write_text(f"Rank{mark}Acc\n1{mark}0.25\n2{mark}0.75\n", encoding="utf-8")
        assert main(["compute", str(file)]) == 0
        assert "AURAC 50.00" in capsys.readouterr().out


def test_an_option_of_another_executor_is_refused_before_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Path(__file__).parents[2] / "benchmarks/recipes/testbed.toml"
    assert main(["bench", str(recipe), "--out", str(tmp_path / "out"), "--gpus", "1"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: --gpus is not for executor local")


_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["matplotlib"] = None  # an import of one is an error
from aurac.cli import main
for line in sys.argv[1:]:
    assert main(line.split()) == 1
"""


def test_a_missing_adapter_is_said_before_pytorch_is_imported() -> None:
    lines = ("score missing --tasks arc", "slice missing --rank 1 --out o", "card missing", "rotate missing --out o")
    command = [sys.executable, "-c", _WITHOUT_TORCH, *lines, "profile missing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == 5 * "error: no such folder: missing. Give the folder of a PEFT LoRA adapter.\n"


_TRAIN = "train --method lora --model MODEL --data facts.jsonl --out new"
BEFORE_THE_WORK = {
    _TRAIN.replace("new", "full"): "full holds something that is no training of aurac; give a new or an empty folder.",
    _TRAIN.replace("new", "file"): "file is a file; give a new or an empty folder.",
    _TRAIN.replace("new", "file/x/y"): "file is a file, so nothing can lie below it. Give another path.",
    _TRAIN.replace("new", "/proc/none/out"): "No such file or directory: /proc/none",
    f"{_TRAIN} --steps 4 --squeeze 2@2".replace("new", "file"): "file is a file, so nothing can lie below it.",
    _TRAIN.replace("MODEL", "/no/model"): "no such base model folder: /no/model. Give a folder, or a hub name like",
    _TRAIN.replace("facts.jsonl", "no.jsonl"): "no such data file: no.jsonl. Give a JSONL file, or one of the sets",
    "train --from missing --data facts.jsonl --out new": "no such folder: missing. Give the folder of a PEFT LoRA",
    "train --from full --model m --data facts.jsonl --out full": "full holds something that is no training of aurac",
    "plot places RECORDS/lora --out p.png": "a plot of kind places needs at least 2 runs or methods, and 1 was given.",
    "plot difference RECORDS/lora --out p.png": "a plot of kind difference needs at least 2 runs",
    "plot curves RECORDS/lora --out file/p.png": "file is a file, so nothing can lie below it. Give another path.",
    "plot curves RECORDS/lora --out full.png": "full.png is a folder. Give the name of a file for the plot.",
}


def test_where_nothing_can_be_written_is_said_before_the_work_begins(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full.png").mkdir()
    for name in ("full/x", "file", "facts.jsonl"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    lines = [line.replace("MODEL", str(MODEL)).replace("RECORDS", str(RECORDS)) for line in BEFORE_THE_WORK]
    command = [sys.executable, "-c", _WITHOUT_TORCH, *lines]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    for line, said in zip(BEFORE_THE_WORK.values(), done.stderr.splitlines(), strict=True):
        assert said.startswith(f"error: {line}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts.jsonl", "file", "full", "full.png"]


def test_a_folder_without_leave_to_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # who runs the tests may write everywhere
    with pytest.raises(PermissionError, match="Permission denied"):
        check_can_be_written(tmp_path)
