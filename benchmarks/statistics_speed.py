"""Time the statistics of a comparison against scipy.stats.bootstrap, side by side in one process.

    python benchmarks/statistics_speed.py --out results/statistics_speed.json

10,000 documents x 9 ranks x 3 methods of right and wrong. Ours: BCa with 10,000 resamples of the three scores and of
the three differences, and the sign-flip tests of all pairs with Holm. Scipy: BCa with as many resamples of the same six
samples. The two take turns, and medians are printed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import scipy.stats

import aurac
from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import weights
from aurac.statistics.bca import bca_interval
from aurac.statistics.intervals import per_document
from aurac.statistics.pairwise import pairwise

RANKS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
METHODS = {"lora": 0.30, "dylora": 0.42, "matryoshka": 0.45}


def make_curves(n_documents: int, seed: int) -> dict[str, RankAccuracyCurve]:
    """Return synthetic curves: a difficulty of each document shared by the methods, noise that is not."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(size=(n_documents, 1))
    documents = [f"d{number}" for number in range(n_documents)]
    curves = {}
    for name, start in METHODS.items():
        threshold = scipy.stats.norm.ppf(np.linspace(start, 0.55, len(RANKS)))
        ability = 0.9 * difficulty + np.sqrt(1 - 0.81) * rng.normal(size=(n_documents, len(RANKS)))
        curves[name] = RankAccuracyCurve.from_scores(RANKS, (ability < threshold).astype(float), documents=documents)
    return curves


def with_aurac(curves: dict[str, RankAccuracyCurve], n_resamples: int) -> list[tuple[float, float]]:
    """Return the six BCa intervals; the tests of all pairs are made on the way."""
    w = weights(RANKS)
    made = [
        bca_interval(per_document(c.scores, w), n_resamples=n_resamples)
        for c in curves.values()
        if c.scores is not None
    ]
    pairs = pairwise(curves, ci="bca", n_resamples=n_resamples)
    return [(i.low, i.high) for i in [*made, *(d.interval for d in pairs.differences.values())]]


def with_scipy(curves: dict[str, RankAccuracyCurve], n_resamples: int) -> list[tuple[float, float]]:
    """Return the same six intervals from scipy, in batches that fit in memory."""
    w = weights(RANKS)
    a, b, c = (per_document(curve.scores, w) for curve in curves.values() if curve.scores is not None)
    made = []
    for number, sample in enumerate([a, b, c, a - b, a - c, b - c]):
        rng = np.random.default_rng(number)
        result = scipy.stats.bootstrap((sample,), np.mean, n_resamples=n_resamples, batch=500, method="BCa", rng=rng)
        made.append((float(result.confidence_interval.low), float(result.confidence_interval.high)))
    return made


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main() -> None:
    """Take turns, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    curves = make_curves(args.documents, seed=0)
    with_aurac(curves, 100)  # imports
    seconds: dict[str, list[float]] = {"aurac": [], "scipy": []}
    intervals: dict[str, list[tuple[float, float]]] = {}
    for _ in range(args.rounds):
        for name, function in (("aurac", with_aurac), ("scipy", with_scipy)):
            spent, intervals[name] = timed(lambda function=function: function(curves, args.resamples))
            seconds[name].append(spent)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratio = medians["scipy"] / medians["aurac"]
    gap = float(np.abs(np.array(intervals["aurac"]) - np.array(intervals["scipy"])).max())
    print(f"{args.documents} documents x {len(RANKS)} ranks x {len(METHODS)} methods, {args.resamples} resamples")
    print(f"aurac  6 BCa intervals and all pairwise tests  {medians['aurac']:8.3f} s (median of {args.rounds})")
    print(f"scipy  6 BCa intervals                         {medians['scipy']:8.3f} s (median of {args.rounds})")
    print(f"ratio  {ratio:.1f}; interval ends differ by at most {100 * gap:.3f} points (random resamples)")
    if args.out:
        record = {
            "documents": args.documents,
            "ranks": RANKS,
            "methods": len(METHODS),
            "resamples": args.resamples,
            "seconds": seconds,
            "ratio_of_medians": ratio,
            "largest_gap_of_interval_ends": gap,
            "versions": {"aurac": aurac.__version__, "numpy": np.__version__, "scipy": scipy.__version__},
            "python": platform.python_version(),
            "machine": platform.machine(),
        }
        args.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
