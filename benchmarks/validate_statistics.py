"""Measure how often the intervals cover and the tests err, on documents whose truth is known.

    python benchmarks/validate_statistics.py --out docs/validation.md     # about 10 minutes on one busy core

Every row is one procedure in one setting; a row that misses its bar by more than two standard errors makes the exit
status 1. The simulated documents are described in validation_world.py.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from validation_edges import EDGES
from validation_rows import COVERAGE, MARKER, Row, covers, holds
from validation_world import CEILING, MID, NESTED, RANKS, scores

import aurac
from aurac.analysis.adequacy import smallest_rank
from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import weights
from aurac.statistics.bands import crossing, curve_band, difference_band
from aurac.statistics.equivalence import non_inferiority
from aurac.statistics.intervals import estimate_mean, mean_interval, t_interval
from aurac.statistics.seeds import method_difference, method_estimate
from aurac.statistics.sign_flip import sign_flip_p

W = weights(RANKS)
Case = Callable[[np.random.Generator, int], Iterator[Row]]


def single_scores(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """One AURAC over documents, 4.1."""
    section = "One AURAC, 95 % interval"
    for label, accuracy, n, bar in (
        ("mid, n=100", NESTED, 100, COVERAGE),
        ("mid, n=400", NESTED, 400, COVERAGE),
        ("mid, n=1200", NESTED, 1200, COVERAGE),
        ("accuracy .90-.97, n=100", CEILING, 100, None),
        ("accuracy .90-.97, n=400", CEILING, 400, COVERAGE),
    ):
        truth = float(W @ accuracy)
        hits = dict.fromkeys(("t", "wilson", "bca"), 0)
        naive = 0
        for _ in range(simulations):
            y = scores(rng, [accuracy], n=n)[0][:, 0]
            for ci in hits:
                hits[ci] += covers(mean_interval(y @ W, ci=ci, n_resamples=999, rng=rng), truth)
            independent = math.sqrt(W**2 @ y.var(axis=0, ddof=1) / n)
            naive += abs(float((y @ W).mean()) - truth) <= 1.96 * independent
        for ci, count in hits.items():
            yield Row(section, f"per-document {ci}", label, count / simulations, simulations, bar)
        yield Row(section, "ranks as if independent (refused)", label, naive / simulations, simulations, None)


def clusters(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Documents that share passages, quick to draw and therefore drawn four times as often."""
    draws = 4 * simulations
    ours, cluster_t, ignored = "clustered wilson (default)", "clustered t", "per-document t (ignores passages)"
    for world, accuracy in (("mid", NESTED), ("accuracy .90-.97", CEILING)):
        truth = float(W @ accuracy)
        for n, size in ((400, 10), (100, 10)):
            labels = np.repeat(np.arange(n // size), size).tolist()
            hits, caution = dict.fromkeys((ours, cluster_t, ignored), 0), ""
            for _ in range(draws):
                y = scores(rng, [accuracy], n=n, cluster_size=size)[0][:, 0]
                if not caution:
                    made = aurac.compute(RankAccuracyCurve.from_scores(RANKS, y), clusters=labels)
                    caution = next((said for said in made.warnings if "passages" in said), "")
                a = y @ W
                hits[ours] += covers(mean_interval(a, clusters=labels), truth)
                hits[cluster_t] += covers(t_interval(estimate_mean(a, clusters=labels)), truth)
                hits[ignored] += covers(t_interval(estimate_mean(a)), truth)
            for name, count in hits.items():
                setting = f"{world}, {n // size} passages of {size}"
                bar = COVERAGE if name == ours else None
                yield Row("Passages, 95 % interval", name, setting, count / draws, draws, bar, caution)


def sign_flips(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Equal methods, tested at 5 %, 4.3."""
    section = "Two equal methods, false positives at 5 %"
    for n in (100, 400):
        rejected = {"row sign-flip": 0, "unpaired z (refused)": 0, "paired t interval without 0": 0}
        for _ in range(2 * simulations):
            a, b = (y[:, 0] @ W for y in scores(rng, [NESTED, NESTED], n=n))
            rejected["row sign-flip"] += sign_flip_p(a - b, n_resamples=1999, rng=rng) <= 0.05
            z = (a.mean() - b.mean()) / math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / n)
            rejected["unpaired z (refused)"] += abs(z) > 1.96
            rejected["paired t interval without 0"] += not covers(t_interval(estimate_mean(a - b)), 0.0)
        for name, count in rejected.items():
            bar = None if "refused" in name else (0.04, 0.06)
            yield Row(section, name, f"n={n}", count / (2 * simulations), 2 * simulations, bar)


def seeds(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Documents and seeds both random, 4.4."""
    section = "Documents and seeds, 95 % interval, 1000 documents"
    truth = float(W @ NESTED)
    for n_seeds, points in ((3, 0.8), (3, 2.0)):
        hits = dict.fromkeys(("docs+seeds", "docs", "seeds"), 0)
        for _ in range(simulations):
            y = scores(rng, [NESTED], n=1000, n_seeds=n_seeds, seed_sd=points / 100)
            for target in hits:
                hits[target] += covers(method_estimate(y, W, target=target).interval(), truth)
        for target, count in hits.items():
            setting = f"one method, {n_seeds} seeds, sd {points:g} points"
            yield Row(section, f"target {target}", setting, count / simulations, simulations,
                      COVERAGE if target == "docs+seeds" else None)  # fmt: skip
    for n_seeds, points in ((3, 0.0), (3, 0.8), (3, 2.0), (5, 2.0)):
        hits = dict.fromkeys(("docs+seeds", "docs"), 0)
        for _ in range(simulations):
            a, b = scores(rng, [NESTED, NESTED], n=1000, n_seeds=n_seeds, seed_sd=points / 100)
            for target in hits:
                hits[target] += covers(method_difference([a], [b], W, target=target).interval(), 0.0)
        for target, count in hits.items():
            setting = f"A-B, {n_seeds} seeds, sd {points:g} points"
            yield Row(section, f"target {target}", setting, count / simulations, simulations,
                      COVERAGE if target == "docs+seeds" else None)  # fmt: skip


def more_seeds(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Shared seeds, ranks trained one by one, means over tasks: not simulated in STATISTICS.md."""
    section = "Documents and seeds, other designs, 3 seeds, sd 2 points"
    cancelling = shared = by_rank = macro = 0
    for _ in range(simulations):
        runs = {"n_seeds": 3, "seed_sd": 0.02, "seed_effects": rng.normal(size=(1, 3, 1))}
        a, b = scores(rng, [NESTED, NESTED], n=400, **runs)
        cancelling += covers(method_difference([a], [b], W, seeds="shared").interval(), 0.0)
        half = [(runs["seed_effects"] + rng.normal(size=(1, 3, 1))) / math.sqrt(2) for _ in range(2)]
        a, b = (scores(rng, [NESTED], n=400, **(runs | {"seed_effects": effects}))[0] for effects in half)
        shared += covers(method_difference([a], [b], W, seeds="shared").interval(), 0.0)
        y = scores(rng, [NESTED], n=400, n_seeds=3, seed_sd=0.02, seed_unit="rank")
        by_rank += covers(method_estimate(y, W, seed_unit="rank").interval(), float(W @ NESTED))
        tasks = [scores(rng, [NESTED], n=400, **runs)[0], scores(rng, [NESTED - 0.1], n=200, **runs)[0]]
        macro += covers(method_estimate(tasks, W).interval(), float(W @ NESTED) - 0.05)
    for name, setting, count, bar in (
        ("A-B, shared seeds", "half of the effect is common", shared, COVERAGE),
        # The seeds add nothing to the difference, but three of them cannot show that: the floor makes it too wide.
        ("A-B, shared seeds", "all of it is common and cancels", cancelling, (0.93, 1)),
        ("ranks trained one by one", "400 documents", by_rank, COVERAGE),
        ("mean over 2 tasks of the same runs", "400 and 200 documents", macro, COVERAGE),
    ):
        yield Row(section, name, setting, count / simulations, simulations, bar)


def bands(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Simultaneous bands and crossings, 4.5."""
    section = "Simultaneous 95 % bands, 8 ranks"
    for n in (200, 1200):
        documents = [str(i) for i in range(n)]
        whole = difference = pointwise = crossed = 0
        for _ in range(simulations):
            y = scores(rng, [NESTED, NESTED], n=n)
            a, b = (RankAccuracyCurve.from_scores(RANKS, x[:, 0], documents=documents) for x in y)
            band = curve_band(a, n_resamples=999, rng=rng)
            whole += holds(band.low, band.high, NESTED)
            half = 1.96 * y[0][:, 0].std(axis=0, ddof=1) / math.sqrt(n)
            pointwise += holds(a.accuracies - half, a.accuracies + half, NESTED)
            between = difference_band(a, b, n_resamples=999, rng=rng)
            difference += holds(between.low, between.high, np.zeros(8))
            crossed += crossing(between).claimed
        yield Row(section, "max-t band of a curve", f"n={n}", whole / simulations, simulations, COVERAGE)
        yield Row(section, "max-t band of a difference", f"n={n}", difference / simulations, simulations, COVERAGE)
        yield Row(section, "pointwise intervals", f"n={n}", pointwise / simulations, simulations, None)
        yield Row("Crossing of equal curves", "false claims", f"n={n}", crossed / simulations, simulations, (0, 0.05))


def ranks(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Smallest adequate rank: how often an inadequate one is declared, 4.6."""
    section = "Smallest adequate rank, inadequate rank declared"
    worst = np.full(8, NESTED[-1])
    for label, margin, accuracy, n in (
        ("mid, 1 point, n=400", 0.01, NESTED, 400),
        ("mid, 1 point, n=1172", 0.01, NESTED, 1172),
        ("mid, 2 points, n=1172", 0.02, NESTED, 1172),
        ("every rank loses the margin, n=1172", 0.01, worst - 0.01 * (np.arange(8) < 7), 1172),
    ):
        adequate = min(r for r, a in zip(RANKS, accuracy, strict=True) if accuracy[-1] - a < margin - 1e-9)
        wrong = {"fixed-sequence non-inferiority": 0, "not significantly different": 0, "point estimate": 0}
        exact = 0
        for _ in range(simulations):
            found = smallest_rank(
                RankAccuracyCurve.from_scores(RANKS, scores(rng, [accuracy], n=n)[0][:, 0]), margin=margin
            )
            wrong["fixed-sequence non-inferiority"] += found.rank < adequate
            exact += found.rank == adequate
            same = [e.rank for e in found.evidence if e.loss <= 1.96 * e.stderr]
            near = [e.rank for e in found.evidence if e.loss < margin]
            wrong["not significantly different"] += min(same) < adequate
            wrong["point estimate"] += min(near) < adequate
        for name, count in wrong.items():
            bar = (0, 0.06) if name.startswith("fixed") else None
            yield Row(section, name, label, count / simulations, simulations, bar)
        yield Row("Smallest adequate rank, exact rank found", "fixed-sequence non-inferiority", label,
                  exact / simulations, simulations, None)  # fmt: skip


def boundary(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """One test of one rank that loses exactly the margin, by its numbers of lost and won documents alone.

    Whole benchmarks are slow to draw; this is the least favourable row of `ranks` with a hundred times the draws.
    """
    differing, margin, draws = 0.077, 0.01, 100 * simulations
    lost, won = (differing + margin) / 2, (differing - margin) / 2
    for n in (400, 1172, 5000):
        counts = rng.multinomial(n, [lost, won, 1 - differing], size=draws)
        patterns, times = np.unique(counts, axis=0, return_counts=True)
        values = np.array([1.0, -1.0, 0.0])
        certified = sum(
            int(often) * (non_inferiority(np.repeat(values, pattern), margin) <= 0.05)
            for pattern, often in zip(patterns, times, strict=True)
        )
        yield Row("Smallest adequate rank, one test at the margin", "non-inferiority, score test", f"n={n}",
                  certified / draws, draws, None)  # fmt: skip


CASES: dict[str, Case] = {
    "single": single_scores,
    "clusters": clusters,
    "sign-flip": sign_flips,
    "seeds": seeds,
    "more-seeds": more_seeds,
    "bands": bands,
    "ranks": ranks,
    "boundary": boundary,
    **EDGES,
}


def markdown(rows: list[Row], seed: int) -> str:
    """Return the page that is committed."""
    lines = [
        "# Validation of the error bars",
        "",
        "Written by `python benchmarks/validate_statistics.py --out docs/validation.md`; not edited by hand.",
        f"aurac {aurac.__version__}, numpy {np.__version__}, seed {seed}. Simulated right and wrong answers with known",
        f"truth (`benchmarks/validation_world.py`; shares of the latent: {MID}).",
        '"±" is the Monte-Carlo standard error of the rate; rows without a bar are shown for comparison. '
        '"within error":',
        "outside the bar by less than two standard errors. A cell that misses its bar shows the caution that the tool",
        "itself prints in that case.",
    ]
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            lines += [
                "",
                f"## {section}",
                "",
                "| procedure | setting | rate | ± | bar | |",
                "|---|---|---|---|---|---|",
            ]
        bar = "" if row.bar is None else f"{row.bar[0]:g} to {row.bar[1]:g}"
        rate, error = f"{row.rate:.{row.digits}f}", f"{row.error:.{row.digits}f}"
        lines.append(f"| {row.procedure} | {row.setting} | {rate} | {error} | {bar} | {row.verdict} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the cases, print rows as they come, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=300)
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=list(CASES))
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    for name in args.cases:
        # Each case has its own stream, so that one can be repeated alone.
        rng = np.random.default_rng([args.seed, list(CASES).index(name)])
        start = time.perf_counter()
        for row in CASES[name](rng, args.simulations):
            rows.append(row)
            print(f"{row.procedure:36} {row.setting:40} {row.rate:.3f} ± {row.error:.3f}"
                  f" {row.verdict}", flush=True)  # fmt: skip
        print(f"  {name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    if args.out:
        before = args.out.read_text() if args.out.exists() else ""
        others = before[before.find(MARKER) :] if MARKER in before else ""  # of validate_parts.py, kept as they are
        page = markdown(sorted(rows, key=lambda r: first_place(rows, r.section)), args.seed)
        args.out.write_text(f"{page}\n{others}" if others else page)
    return 1 if any("**missed**" in row.verdict for row in rows) else 0


def first_place(rows: list[Row], section: str) -> int:
    """Return where a section begins, so that its rows stand together."""
    return next(number for number, row in enumerate(rows) if row.section == section)


if __name__ == "__main__":
    sys.exit(main())
