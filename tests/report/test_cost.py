"""The table of costs: what is known, under which conditions, and when the times are noise."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from aurac.errors import UnknownNameError
from aurac.report.costs import Costs
from aurac.report.tables.cost import noise, noise_of
from aurac.results import Profile, Run
from aurac.results.profile import Cost
from runs_by_hand import profile_of


def with_repeats(profile: Profile, spread: float) -> Profile:
    """Three repeats of every time, `spread` seconds apart."""

    def repeated(cost: Cost) -> Cost:
        times = [tuple(t + k * spread / 2 for k in (-1, 0, 1)) for t in (cost.prefill_seconds, cost.decode_seconds)]
        return replace(cost, all_prefill_seconds=times[0], all_decode_seconds=times[1])

    rows = tuple(replace(row, unmerged=repeated(row.unmerged)) for row in profile.rows)
    return replace(profile, rows=rows)


def test_times_that_differ_less_between_ranks_than_between_repeats_are_said_to_be_noise() -> None:
    # Ranks 1 to 8 of profile_of differ by 0.7 ms in the prefill and by 0.07 ms in a token.
    assert noise(with_repeats(profile_of(8000), 0.00006)) == ()
    (said,) = noise(with_repeats(profile_of(8000), 0.0003))
    assert said.startswith(
        "Noise: the time of a token differs by 0.0700 ms between ranks, and by 0.300 ms between repeats"
    )
    assert len(noise(with_repeats(profile_of(8000), 0.001))) == 2
    assert "Noise: prefill" in Costs(with_repeats(profile_of(8000), 0.001), "x").render("markdown")


def test_one_rank_or_one_repeat_has_no_noise_to_speak_of() -> None:
    assert noise(with_repeats(profile_of(8000, ranks=(8,)), 1.0)) == ()
    assert noise(profile_of(8000)) == ()
    assert noise_of(Run("a", None, {}, {})) == ()


def test_csv_and_json_have_the_numbers_of_the_table() -> None:
    profile = profile_of(8000, memory=123)
    rows = list(csv.DictReader(io.StringIO(Costs(profile, "x").render("csv"))))
    wanted = [row.unmerged.decode_seconds for row in profile.rows]
    assert [float(row["unmerged_decode_seconds"]) for row in rows] == pytest.approx(wanted)
    assert rows[0].keys() == Costs(profile, "x").records()[0].keys()
    content = json.loads(Costs(profile, "x").render("json"))
    assert [row["merged"]["peak_memory_bytes"] for row in content["rows"]] == [123] * 4
    with pytest.raises(UnknownNameError, match=r"unknown output format 'jsn'. Did you mean 'json'"):
        Costs(profile, "x").render("jsn")
