"""The worlds that hurt: documents that are only lost, ceilings and floors, few documents, few seeds, passages.

Rows as in `validate_statistics`; a cell that misses its bar carries the caution that the tool itself prints there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from validation_rows import COVERAGE, Row, covers, holds
from validation_world import NESTED, RANKS, Array, scores

from aurac.analysis.compute import compute
from aurac.analysis.macro_curve import macro_curve
from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import weights
from aurac.statistics.bands import curve_band
from aurac.statistics.contrast import infer
from aurac.statistics.equivalence import t_loss_p
from aurac.statistics.intervals import estimate_mean, t_interval
from aurac.statistics.macro_score import macro_score
from aurac.statistics.non_inferiority import loss_p
from aurac.statistics.over_seeds import method_contrast, method_interval, method_score
from aurac.statistics.planning import minimal_effect
from aurac.statistics.sample import Sample
from aurac.statistics.seeds import method_difference
from aurac.statistics.tilting import collapse

W = weights(RANKS)
AT_LEAST = (0.93, 1.0)
"""Coverage where documents are so few that no interval has exactly its level."""
LEVEL = (0.0, 0.06)
FEW = "fewer than 10 documents differ from full rank: the level of the test there is anything from 0 to 7 %"
TOP, FLOOR = np.linspace(0.97, 0.995, 8), np.linspace(0.005, 0.03, 8)
Case = Callable[[np.random.Generator, int], Iterator[Row]]


def patterns(
    rng: np.random.Generator, n: int, shares: list[float], draws: int
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield how many documents have each value, and how often that was drawn."""
    drawn, times = np.unique(rng.multinomial(n, shares, size=draws), axis=0, return_counts=True)
    yield from ((tuple(row), int(often)) for row, often in zip(drawn.tolist(), times, strict=True))


def losses(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Non-inferiority at the margin, one task."""
    section, draws = "Non-inferiority of a rank that loses exactly the margin, level at 5 %", 20 * simulations
    values = np.array([1.0, -1.0, 0.0])
    for label, margin, differing, sizes in (
        ("only lost, 1 point", 0.01, 0.01, (400, 800, 1172, 5000)),
        ("only lost, 5 points", 0.05, 0.05, (60, 100, 200)),
        ("3 % differ, 1 point", 0.01, 0.03, (400, 1172)),
        ("8 % differ, 1 point", 0.01, 0.08, (400, 1172)),
    ):
        for n in sizes:
            shares = [(differing + margin) / 2, (differing - margin) / 2, 1 - differing]
            score = t = few = 0
            for counts, often in patterns(rng, n, shares, draws):
                lost = np.repeat(values, counts)
                estimate = estimate_mean(lost)
                certified = often * (loss_p([collapse(lost)], margin) <= 0.05)
                score += certified
                few += certified * (np.count_nonzero(lost) < 10)
                t += often * (estimate.stderr > 0 and t_loss_p(estimate, margin) <= 0.05)
            caution = FEW if few > score / 2 else ""
            yield Row(section, "score test", f"{label}, n={n}", score / draws, draws, LEVEL, caution)
            yield Row(section, "one-sided t (replaced)", f"{label}, n={n}", t / draws, draws, None)


def unequal_tasks(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """The mean over three tasks of very different sizes."""
    section, sizes = "Mean over tasks of 1172, 256 and 64 documents", (1172, 256, 64)
    for label, differing in (("only lost, 2 points", (0.02, 0.02, 0.02)), ("8 % differ, 2 points", (0.08, 0.08, 0.08))):
        certified = 0
        for _ in range(simulations):
            tasks = [
                collapse(rng.choice([1.0, -1.0, 0.0], n, p=[(d + 0.02) / 2, (d - 0.02) / 2, 1 - d]), weight=1 / 3)
                for n, d in zip(sizes, differing, strict=True)
            ]
            certified += loss_p(tasks, 0.02) <= 0.05
        yield Row(section, "score test, level at 5 %", label, certified / simulations, simulations, LEVEL)
    for label, levels in (("accuracy .97, .6, .3", (0.97, 0.6, 0.3)), ("accuracy .99, .98, .97", (0.99, 0.98, 0.97))):
        hits = 0
        for _ in range(simulations):
            curves = [
                RankAccuracyCurve.from_scores([1], (rng.random((n, 1)) < p).astype(float))
                for n, p in zip(sizes, levels, strict=True)
            ]
            hits += covers(macro_score(curves, [np.ones(1)] * 3)[1], float(np.mean(levels)))
        yield Row(section, "95 % interval of the mean", label, hits / simulations, simulations, AT_LEAST)


def differences(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Two runs of which few documents differ, or nearly all in one direction."""
    worlds: list[tuple[str, list[float], list[float], tuple[int, ...]]] = [
        ("1 % only lost", [-1, 0], [0.01, 0.99], (60, 400, 1172)),
        ("5 % only lost", [-1, 0], [0.05, 0.95], (30, 100, 400)),
        ("3 % differ, equal", [1, -1, 0], [0.015, 0.015, 0.97], (60, 400, 1172)),
        ("23 % differ, equal", [1, -1, 0], [0.115, 0.115, 0.77], (20, 60, 400)),
        ("small gains, total losses", [0.1, -1, 0], [0.2, 0.02, 0.78], (30, 60, 200, 400)),
    ]
    for label, values, shares, sizes in worlds:
        truth = float(np.dot(values, shares))
        for n in sizes:
            default = t = errs = 0
            for counts, often in patterns(rng, n, shares, simulations):
                d = np.repeat(np.array(values, dtype=float), counts)
                interval, (_, p) = infer([Sample(d)], test="auto", n_resamples=999)
                default += often * covers(interval, truth)
                t += often * covers(t_interval(estimate_mean(d)), truth)
                errs += often * (p <= 0.05)
            setting = f"{label}, n={n}"
            name = "Differences, 95 % interval"
            yield Row(name, "default (score where t is rough)", setting, default / simulations, simulations, AT_LEAST)
            yield Row(name, "paired t", setting, t / simulations, simulations, None)
            if truth == 0 or abs(truth) < 1e-12:
                name = "Differences of two equal runs, level at 5 %"
                yield Row(name, "default test", setting, errs / simulations, simulations, LEVEL)


def ends(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """One run near 100 or 0 points."""
    for label, accuracy in (("accuracy .97-.995", TOP), ("accuracy .005-.03", FLOOR)):
        truth = float(W @ accuracy)
        for n in (20, 60, 200, 1000):
            hits, caution = 0, ""
            for _ in range(simulations):
                made = compute(RankAccuracyCurve.from_scores(RANKS, scores(rng, [accuracy], n=n)[0][:, 0]))
                hits += covers(made.interval, truth)
                caution = caution or next((w for w in made.warnings if "so near" in w or "rough" in w), "")
            yield Row("One AURAC near an end, 95 % interval", "wilson", f"{label}, n={n}", hits / simulations,
                      simulations, COVERAGE if n > 200 else AT_LEAST, caution)  # fmt: skip


def method(y: Array) -> RankAccuracyCurve:
    """Return the curve of a method from scores of shape (documents, seeds, ranks)."""
    keys = [str(i) for i in range(len(y))]
    curves = [RankAccuracyCurve.from_scores(RANKS, y[:, s], documents=keys) for s in range(y.shape[1])]
    return RankAccuracyCurve.from_seeds(curves, [str(s) for s in range(y.shape[1])])


def few_seeds(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Methods over 2, 3 and 5 seeds, in the middle and near 100 points."""
    section, runs = "Methods over few seeds, 95 % interval", max(10, simulations // 3)
    for label, accuracy, seed_sd in (("mid, sd 2 points", NESTED, 0.02), ("accuracy .97-.995", TOP, 0.02)):
        truth = float(W @ accuracy)
        for n_seeds in (2, 3, 5):
            for n in (30, 250):
                hits = t = 0
                caution = ""
                for _ in range(runs):
                    curve = method(scores(rng, [accuracy], n=n, n_seeds=n_seeds, seed_sd=seed_sd)[0])
                    estimate = method_score([curve], [W])
                    hits += covers(method_interval(estimate, [curve], [W]), truth)
                    t += covers(estimate.interval(), truth)
                    caution = caution or next((w for w in compute(curve).warnings if "so near" in w), "")
                setting = f"{label}, {n_seeds} seeds, n={n}"
                yield Row(section, "one method", setting, hits / runs, runs, AT_LEAST, caution)
                yield Row(section, "mean ± t * SE (replaced)", setting, t / runs, runs, None)
    for n_seeds in (2, 3):
        hits = errs = 0
        for _ in range(runs):
            a, b = (method(y) for y in scores(rng, [NESTED, NESTED], n=250, n_seeds=n_seeds, seed_sd=0.02))
            made = method_contrast([a], [b])
            hits += covers(made.interval, 0.0)
            errs += made.p_value is not None and made.p_value <= 0.05
        caution = "Two training seeds make no test between methods" if n_seeds == 2 else ""
        setting = f"A-B, mid, sd 2 points, {n_seeds} seeds, n=250"
        yield Row(section, "two equal methods", setting, hits / runs, runs, AT_LEAST, caution)
        if n_seeds > 2:
            yield Row("Two equal methods over seeds, level at 5 %", "t test", setting, errs / runs, runs, LEVEL)


def passages(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Differences where documents share passages of 5."""
    section = "Passages of 5 documents, difference of two equal runs"
    for n in (100, 400):
        labels = [i // 5 for i in range(n)]
        hits = ignored = errs = errs_ignored = 0
        for _ in range(simulations):
            # Which of the two runs wins a document depends on the passage.
            sign = np.repeat(rng.normal(size=n // 5), 5) + rng.normal(size=n)
            d = np.where(rng.random(n) < 0.4, np.sign(sign), 0.0)
            for clusters in (labels, None):
                interval, (_, p) = infer([Sample(d, clusters)], test="auto", n_resamples=999)
                if clusters is None:
                    ignored, errs_ignored = ignored + covers(interval, 0.0), errs_ignored + (p <= 0.05)
                else:
                    hits, errs = hits + covers(interval, 0.0), errs + (p <= 0.05)
        yield Row(section, "95 % interval with passages", f"n={n}", hits / simulations, simulations, COVERAGE)
        yield Row(section, "95 % interval, passages ignored", f"n={n}", ignored / simulations, simulations, None)
        yield Row(section, "level at 5 % with passages", f"n={n}", errs / simulations, simulations, LEVEL)
        yield Row(section, "level at 5 %, passages ignored", f"n={n}", errs_ignored / simulations, simulations, None)


def planned(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Power at the printed minimal effect, from the test that `compare` makes."""
    from aurac.statistics.contrast import t_p
    from aurac.statistics.estimate import Estimate

    section = "Power at the minimal effect for 80 %"
    for n in (10, 50, 1000):
        d = rng.normal(minimal_effect(0.3, n), 0.3, size=(simulations, n))
        found = sum(t_p(estimate_mean(row)) <= 0.05 for row in d)
        yield Row(section, "paired t", f"n={n}", found / simulations, simulations, (0.78, 0.82))
    for n_seeds, n, seed_sd in ((3, 1000, 0.004), (3, 1000, 0.02), (5, 1000, 0.01)):
        own, found = float(np.sqrt(0.3**2 / 2 - 0.01 / n_seeds)), 0
        effect = minimal_effect(0.3, n, seed_sd=seed_sd, n_seeds=n_seeds)
        for _ in range(simulations):
            shift: Any = effect
            a, b = (
                rng.normal(0, own, (n, 1, 1)) + rng.normal(0, 0.1, (n, n_seeds, 1))
                + rng.normal(0, seed_sd, (1, n_seeds, 1)) for _ in range(2)
            )  # fmt: skip
            made = method_difference([a + shift], [b], np.ones(1))
            found += t_p(Estimate(made.value, made.stderr, made.df)) <= 0.05
        setting = f"{n_seeds} seeds, sd {100 * seed_sd:g} points, n={n}"
        yield Row(section, "t over documents and seeds", setting, found / simulations, simulations, (0.78, 0.84))


def macro_bands(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Bands of a mean over two tasks, one or both of them near the ceiling."""
    section = "Simultaneous 95 % bands of a mean over two tasks, 8 ranks"
    for label, accuracies, bar in (
        ("both in the middle", (NESTED, NESTED), COVERAGE),
        ("middle and .970-.995", (NESTED, TOP), COVERAGE),
        ("both .970-.995", (TOP, TOP), AT_LEAST),
    ):
        truth = np.mean(accuracies, axis=0)
        for sizes in ((400, 100), (1200, 1200)):
            count = 0
            for _ in range(simulations):
                drawn = [scores(rng, [accuracy], n=n)[0][:, 0] for accuracy, n in zip(accuracies, sizes, strict=True)]
                curve = macro_curve([RankAccuracyCurve.from_scores(RANKS, y) for y in drawn])
                band = curve_band(curve, n_resamples=999, rng=rng)
                count += holds(band.low, band.high, truth)
            setting = f"{label}, {sizes[0]} and {sizes[1]} documents"
            yield Row(section, "max-t band", setting, count / simulations, simulations, bar)


EDGES: dict[str, Case] = {
    "losses": losses,
    "unequal-tasks": unequal_tasks,
    "differences": differences,
    "ends": ends,
    "few-seeds": few_seeds,
    "passages": passages,
    "planned": planned,
    "macro-bands": macro_bands,
}
