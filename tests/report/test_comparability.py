"""Signatures found in records, curves, tables and lines, and the keys that differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aurac.analysis.comparability import compare_signatures, signatures
from aurac.analysis.compute import compute
from aurac.errors import AuracError, CurveError
from aurac.report.comparison import compare
from aurac.results import Run
from aurac.signature import Signature
from runs_by_hand import curve

Make = Callable[..., Run]


def test_a_line_is_read_in_its_long_and_its_short_form() -> None:
    line = Signature({"axis": "log2", "task": "arc@1.0", "version": "0.1.0"}, {"ci": "t95"})
    assert signatures(str(line)) == signatures(line.short()) == {"arc": line}


@pytest.mark.parametrize("output", ["terminal", "markdown", "json", "html"])
def test_every_table_holds_signatures_that_can_be_read_back(output: str, make_run: Make, tmp_path: Path) -> None:
    run = make_run("a", curve("arc", 1), curve("a<b&c", 2))
    path = tmp_path / f"table.{output}"
    path.write_text(compare([run]).render(output), encoding="utf-8")
    found = list(signatures(str(path)).values())
    assert [str(s) for s in found] == [str(compute(run.curve(task)).signature) for task in run.tasks]


def test_a_curve_from_a_file_has_a_signature_on_the_axis_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("rank,accuracy\n1,0.4\n2,0.5\n")
    assert signatures(str(path), axis="linear")["score"].score["axis"] == "linear"


def test_differing_keys_are_named_with_both_values_and_their_meaning() -> None:
    first, second = (compute(curve("arc", 1, num_fewshot=k)).signature for k in (5, 0))
    found = compare_signatures(("a", {"arc": first}), ("b", {"arc": second}))
    assert not found.comparable
    assert str(found) == "arc: not comparable\n  shots: 5 | 0  (examples in the prompt)"


def test_sources_are_joined_on_their_tasks_and_the_rest_is_named() -> None:
    one = compute(curve("arc", 1)).signature
    found = compare_signatures(("a", {"arc": one, "x": one}), ("b", {"arc": one, "y": one}))
    assert found.comparable
    assert str(found) == "arc: comparable\nx: only in a\ny: only in b"


def test_sources_without_a_common_task_are_not_comparable() -> None:
    one = compute(curve("arc", 1)).signature
    found = compare_signatures(("a", {"x": one, "z": one}), ("b", {"y": one}))
    assert not found.comparable
    assert str(found).startswith("no task in common")


def test_what_holds_no_signature_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("no signature here")
    (tmp_path / "weights.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CurveError, match=r"notes.md holds no signature line and is no curve"):
        signatures(str(tmp_path / "notes.md"))
    with pytest.raises(AuracError, match=r"weights.bin is not a text file"):
        signatures(str(tmp_path / "weights.bin"))
    with pytest.raises(AuracError, match=r"there is no 'nothing', and it is no signature"):
        signatures("nothing")
    with pytest.raises(AuracError, match=r"'axis' in the signature is not key:value"):
        signatures("AURAC|axis")
