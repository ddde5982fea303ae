"""Axes that are not the rank: parameters, bytes, operations, measured times; by hand, and refused where not known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import aurac
from aurac.analysis import rank_costs
from aurac.analysis.costs import COSTS
from aurac.errors import ComparisonError, CurveError, RecordError, UnknownNameError
from aurac.report.comparison import compare
from aurac.report.plots.curves import plot_curves
from aurac.report.plots.difference import plot_difference
from aurac.results import Profile, Run
from aurac.results.profile import ProfileRow
from runs_by_hand import RANKS, curve, profile_of

Make = Callable[..., Run]
SIZES = [18, 36, 52, 84]
"""Parameters at the ranks 1, 2, 4, 8: a layer of rank 8 with 5 inputs and 3 outputs, one of rank 2 with 4 and 6."""
WEIGHTS = np.array([9, 17, 24, 16]) / 66
"""Trapezoid over the sizes: half the widths 18, 16, 32 to the left and to the right."""


def write_weights(folder: Path, *, dtype: str = "f4", extra: int = 0) -> str:
    """Write the two layers and, with `extra` outputs, a third of rank 8; return the sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {"q.lora_A": (8, 5), "q.lora_B": (3, 8), "v.lora_A": (2, 4), "v.lora_B": (6, 2)}
    shapes |= {"o.lora_A": (8, 1), "o.lora_B": (extra, 8)} if extra else {}
    file = folder / "adapter_model.safetensors"
    save_file({f"{name}.weight": np.zeros(shape, dtype) for name, shape in shapes.items()}, file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def scored(make_run: Make, tmp_path: Path) -> Callable[..., Run]:
    """A run whose weights lie where its record says."""

    def make(name: str, seed: int = 1, shift: float = 0.0, **weights: Any) -> Run:
        run = make_run(name, curve("arc", seed, shift=shift))
        sha256 = write_weights(tmp_path / name, **weights)
        run.record["identity"]["adapter"] |= {"path": str(tmp_path / name), "sha256": sha256}
        return run

    return make


@pytest.fixture
def profiled(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """A run with a profile."""
    found: dict[str, Profile] = {}
    monkeypatch.setattr(rank_costs, "read_profile", lambda run: found.get(run.name))

    def make(name: str, profile: Profile, seed: int = 1) -> Run:
        found[name] = profile
        return make_run(name, curve("arc", seed))

    return make


def slower(profile: Profile, milliseconds: float) -> Profile:
    """The same profile with every token so much slower."""

    def later(row: ProfileRow) -> ProfileRow:
        cost = replace(row.unmerged, decode_seconds=row.unmerged.decode_seconds + milliseconds / 1000)
        return replace(row, unmerged=cost)

    return replace(profile, rows=tuple(map(later, profile.rows)))


@pytest.mark.parametrize(
    ("axis", "costs"),
    [("params", SIZES), ("bytes", [4 * size for size in SIZES]), ("flops", [2 * size for size in SIZES])],
)
def test_a_size_is_integrated_over_as_the_layers_say(scored: Any, axis: str, costs: list[int]) -> None:
    run = scored("a")
    score = aurac.compute(run, axis=axis)
    assert score.costs == dict(zip(RANKS, costs, strict=True))
    np.testing.assert_allclose(list(score.weights.values()), WEIGHTS, rtol=1e-12)  # a few roundings
    assert score.value == pytest.approx(float(WEIGHTS @ run.curve("arc").accuracies), rel=1e-12)
    assert score.value_log2 == aurac.compute(run).value


def test_of_a_method_any_training_that_recorded_its_sizes_speaks_for_all(make_run: Make) -> None:
    older, newer = (make_run(f"lora-{seed}", curve("arc", seed)) for seed in (1, 2))
    newer.record["parameters"] = {str(rank): size for rank, size in zip(RANKS, SIZES, strict=True)}
    for seeds in ((older, newer), (newer, older)):
        method = replace(older, seeds=seeds)
        assert rank_costs.PARAMS.of(method) == dict(zip(RANKS, SIZES, strict=True))


def test_an_embedding_is_looked_up_in_a_and_multiplied_in_b(make_run: Make, tmp_path: Path) -> None:
    file = tmp_path / "adapter_model.safetensors"
    save_file({"e.lora_embedding_A": np.zeros((8, 100), "f4"), "e.lora_embedding_B": np.zeros((3, 8), "f4")}, file)
    run = make_run("a", curve("arc", 1))
    run.record["identity"]["adapter"] |= {
        "path": str(tmp_path),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    assert aurac.compute(run, axis="params").costs == {rank: 103 * rank for rank in RANKS}
    assert aurac.compute(run, axis="flops").costs == {rank: 6 * rank for rank in RANKS}


def test_a_score_over_a_cost_is_signed_printed_and_written_with_it(scored: Any) -> None:
    score = aurac.compute(scored("a"), axis="params")
    assert "|axis:params|" in str(score.signature)
    assert "|at:18-36-52-84|version:" in str(score.signature)
    assert "trapezoid rule on the params axis" in str(score)
    assert score.to_dict()["costs"] == {"1": 18, "2": 36, "4": 52, "8": 84}
    assert "costs" not in aurac.compute(scored("a")).to_dict()


def test_time_is_measured_by_a_profile(profiled: Any) -> None:
    score = aurac.compute(profiled("a", profile_of(8000)), axis="latency")
    assert score.costs == pytest.approx({1: 1.01, 2: 1.02, 4: 1.04, 8: 1.08}, rel=1e-9)  # ms; profile_of says so
    np.testing.assert_allclose(  # widths 1, 2, 4, as on the linear axis; differences of 1.01 and 1.02 lose digits
        list(score.weights.values()), aurac.weights(RANKS, axis="linear"), rtol=1e-9
    )
    assert aurac.compute(profiled("a", profile_of(8000)), axis="params").costs == {r: 1000 * r for r in RANKS}


def test_runs_are_compared_over_a_common_cost(scored: Any) -> None:
    comparison = compare([scored("a"), scored("b", 3, shift=0.1)], axis="params")
    difference = comparison.results["b", "arc"].difference
    a, b = (run.curve("arc").accuracies for run in comparison.runs)
    assert difference is not None
    assert difference.value == pytest.approx(float(WEIGHTS @ (b - a)), rel=1e-9)  # a mean over 40 documents
    assert "over the trainable parameters of the adapter and divided" in comparison.prose()
    assert "axis:params" in comparison.to_latex()
    assert "AURAC is the area over the trainable parameters of the adapter (axis params)." in comparison.to_html()
    assert comparison.to_json().count("at:18-36-52-84") == 1


def test_times_of_runs_of_one_size_are_their_mean(profiled: Any) -> None:
    runs = [profiled("a", profile_of(8000)), profiled("b", slower(profile_of(8000), 0.2), 3)]
    score = compare(runs, axis="latency").results["b", "arc"].score
    assert score is not None
    assert score.costs == pytest.approx({1: 1.11, 2: 1.12, 4: 1.14, 8: 1.18}, rel=1e-9)


def test_costs_that_do_not_compare_are_refused(scored: Any, profiled: Any) -> None:
    with pytest.raises(
        ComparisonError, match=r"'a' and 'b' are adapters of different sizes: rank 1 is 18 and 23, so areas over params"
    ):
        compare([scored("a"), scored("b", extra=4)], axis="params")
    with pytest.raises(CurveError, match=r"times of c and d do not compare: batch_size is 1 and 8"):
        compare([profiled("c", profile_of(8000)), profiled("d", profile_of(8000, batch_size=8), 3)], axis="latency")
    with pytest.raises(ComparisonError, match=r"'e' and 'f' are adapters of different sizes: rank 1 is 1000 and 2000"):
        compare([profiled("e", profile_of(8000)), profiled("f", profile_of(16000), 3)], axis="latency")


def test_a_run_that_does_not_know_its_costs_says_so(make_run: Make) -> None:
    run = make_run("a", curve("arc", 1))
    for axis in ("params", "bytes", "flops"):
        with pytest.raises(RecordError, match=r"run 'a' does not say what its ranks cost in .*: the weights"):
            aurac.compute(run, axis=axis)
    with pytest.raises(RecordError, match=r"run 'a' has no times. Measure them with `aurac profile ADAPTER_DIR"):
        aurac.compute(run, axis="latency")
    with pytest.raises(CurveError, match=r"the params axis needs run records: a curve says nothing about"):
        aurac.compute({1: 0.4, 2: 0.5}, axis="params")
    with pytest.raises(UnknownNameError, match=r"unknown axis 'parms'. Did you mean 'params'"):
        aurac.compute(run, axis="parms")


def test_times_that_fall_have_no_area(profiled: Any) -> None:
    profile = profile_of(8000)
    noisy = replace(profile, rows=(replace(slower(profile, 0.5).rows[0]), *profile.rows[1:]))
    with pytest.raises(
        CurveError, match=r"the latency axis does not increase from rank 1 \(1.51\) to rank 2 \(1.02\), so there is no"
    ):
        aurac.compute(profiled("a", noisy), axis="latency")


@pytest.mark.parametrize("axis", COSTS)
def test_every_cost_is_drawn_with_its_unit(scored: Any, monkeypatch: pytest.MonkeyPatch, axis: str) -> None:
    monkeypatch.setattr(rank_costs, "read_profile", lambda _: profile_of(8000))
    runs = [scored("a"), scored("b", 3)]
    for ax in (plot_curves(runs, axis=axis), plot_difference(runs, axis=axis)):
        assert ax.get_xlabel() == COSTS[axis].label
    drawn = plot_curves(runs, axis=axis).lines[0].get_xdata()
    np.testing.assert_allclose(drawn, list(aurac.compute(runs[0], axis=axis).costs.values()), rtol=1e-12)


def test_curves_of_adapters_of_different_sizes_are_drawn_each_over_its_own(scored: Any) -> None:
    lines = plot_curves([scored("a"), scored("b", extra=4)], axis="params").lines
    assert [lines[0].get_xdata()[0], lines[1].get_xdata()[0]] == [18, 23]
