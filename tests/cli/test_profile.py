"""`aurac profile`: costs of every rank into the record, and from there into the recommendation and the Pareto plot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from safetensors import safe_open

from aurac.results import load, read_profile

Call = Callable[..., Any]
SMALL = ("--prompt-tokens", "8", "--new-tokens", "2", "--repeats", "1")


@pytest.fixture(scope="module")
def profiled(adapters: dict[str, Path], scored: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from aurac.cli import main

    record = copytree(scored["one"], tmp_path_factory.mktemp("profiled") / "one")
    assert main(["profile", str(adapters["one"]), *SMALL, "--out", str(record)]) == 0
    return record


def test_the_profile_has_every_scored_rank_with_the_size_of_its_slice(
    profiled: Path, adapters: dict[str, Path]
) -> None:
    profile = read_profile(load(profiled))
    assert profile is not None
    with safe_open(str(adapters["one"] / "adapter_model.safetensors"), "numpy") as tensors:
        whole = sum(tensors.get_tensor(key).size for key in tensors.keys())  # noqa: SIM118
    assert [(row.rank, row.parameters, row.bytes) for row in profile.rows] == [
        (rank, whole * rank // 4, whole * rank) for rank in (1, 2, 4)
    ]
    assert profile.settings["prompt_tokens"] == 8
    assert all(row.unmerged.prefill_seconds > 0 and row.merged.decode_seconds > 0 for row in profile.rows)


def test_the_recommendation_shows_size_and_times_of_each_rank(call: Call, profiled: Path) -> None:
    done = call("recommend", profiled, "--margin", "99")
    assert (done.status, done.err) == (0, "")
    assert "one: cost of each rank" in done.out
    assert "Measured on" in done.out
    content = json.loads(call("recommend", profiled, "--format", "json").out)
    assert [cost["rank"] for cost in content["costs"]] == [4, 2, 1]
    assert content["costs"][0]["unmerged"]["decode_seconds"] > 0
    assert content["bytes"] == content["costs"][0]["bytes"]


def test_the_pareto_plot_takes_a_time_as_its_axis(
    call: Call, profiled: Path, scored: dict[str, Path], tmp_path: Path
) -> None:
    done = call("plot", "pareto", profiled, "--cost", "decode", "--out", tmp_path / "time.png")
    assert (done.status, done.err) == (0, "")
    assert (tmp_path / "time.png").stat().st_size > 1000
    done = call("plot", "pareto", scored["one"], "--cost", "prefill", "--out", tmp_path / "x.png")
    assert "run 'one' has no times. Measure them with `aurac profile ADAPTER_DIR --out" in done.error


def test_without_a_record_the_profile_lies_where_the_record_will(
    call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    folder = copytree(adapters["one"], tmp_path / "mine")
    done = call("profile", folder, *SMALL, "--ranks", "2", "--format", "json")
    assert done.status == 0
    assert [row["rank"] for row in json.loads(done.out)["rows"]] == [2]
    assert (folder / "aurac-run" / "profile.json").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ranks", "8"), "rank 8 is outside 1..4"),
        (("--prompt-tokens", "100"), "the context of this model has 64"),
        (("--base", "/no/such/model"), "no such model folder: /no/such/model"),
    ],
)
def test_mistakes_are_one_error_line_and_write_nothing(
    options: tuple[str, ...], message: str, call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    done = call("profile", adapters["one"], *SMALL, *options, "--out", tmp_path / "run")
    assert (done.status, done.out) == (1, "")
    assert message in done.error
    assert not (tmp_path / "run").exists()


def test_the_record_of_another_adapter_is_refused_before_anything_is_measured(
    call: Call, adapters: dict[str, Path], scored: dict[str, Path]
) -> None:
    done = call("profile", adapters["two"], *SMALL, "--out", scored["one"])
    assert "Profile the adapter that was scored" in done.error
    assert "profiling" not in done.err
