"""Wrong words on the command line are one line on standard error, with the near name, and exit status 2."""

from __future__ import annotations

import pytest

from aurac.cli import main

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
