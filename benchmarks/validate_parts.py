"""Measure how often intervals from a part of the documents cover, by resampling committed records.

    python benchmarks/validate_parts.py --out docs/validation.md     # about 2 minutes on one core

Nothing is simulated but which documents come first: scores are those of `results/testbed-benchmark`. For --precision a
benchmark is the 256 documents of a record, or the 1280 of the five seeds of a method taken together; its documents are
put in random order, as hashes would, and the steps of the sweep (`aurac.harness.part_steps`) choose how many are asked.
The truth is the score on all of them. For --audit, which is about new documents, as many documents are drawn from them
with replacement first, and the truth is the score that they were drawn from.

The section is put at the end of the page, behind a marker that validate_statistics.py leaves alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from validation_rows import COVERAGE, MARKER, Row, covers

import aurac
from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.part import Part
from aurac.harness.part_order import Headline, Wanted
from aurac.harness.part_steps import next_step
from aurac.quadrature import weights
from aurac.statistics.audit import expanded, strata
from aurac.statistics.paired import paired_difference

RECORDS = Path(__file__).parents[1] / "results" / "testbed-benchmark"
SEEDS = (7, 42, 99, 666, 2408)
Matrix = npt.NDArray[np.float64]


def record(method: str, seed: int, task: str) -> Matrix:
    """Return the scores of a record, shape (documents, ranks)."""
    scores = aurac.load(RECORDS / f"{method}-seed-{seed}").curve(task).scores
    assert scores is not None
    return np.asarray(scores)


def pool(method: str, task: str) -> Matrix:
    """Return those of the five seeds of a method, one after the other."""
    return np.concatenate([record(method, seed, task) for seed in SEEDS])


RANKS = aurac.load(RECORDS / "lora-seed-42").curve("facts").ranks
W = weights(RANKS, "log2", "trapezoid")
AT_AN_END = "tilt, matryoshka-trained, 1280 documents, near 90 points"
"""Pilots above 90 points are scored whole, and with them those whose interval would have missed."""
FIRST = Headline("acc", "none")


def step(wanted: Wanted, scores: Matrix, hashes: npt.NDArray[np.float64]) -> Any:
    """Return what the sweep asks in the end of documents with these scores, in the order of these hashes."""
    documents = [SimpleNamespace(doc_id=i, doc_hash=h) for i, h in enumerate(hashes.tolist())]
    known = {rank: dict(enumerate(scores[:, k].tolist())) for k, rank in enumerate(RANKS)}
    leaf: Any = SimpleNamespace(documents=documents)
    return next_step(leaf, FIRST, wanted, RANKS, known, None)


def precision(rng: np.random.Generator, simulations: int) -> Iterator[tuple[Row, str]]:
    """The score on the whole benchmark, from as many documents as --precision asks."""
    section = "A part of the documents: --precision, the score on the whole benchmark, 95 % interval"
    for name, scores, points in (
        ("facts, lora, 256 documents", record("lora", 42, "facts"), 4.0),
        ("facts, dylora, 256 documents", record("dylora", 42, "facts"), 3.0),
        ("tilt, lora, 256 documents", record("lora", 42, "tilt"), 4.0),
        ("facts, lora, 1280 documents", pool("lora", "facts"), 2.0),
        ("facts, svd-lora, 1280 documents", pool("svd-lora", "facts"), 2.0),
        ("facts, dylora, 1280 documents", pool("dylora", "facts"), 1.0),
        ("tilt, lora, 1280 documents", pool("lora", "tilt"), 2.0),
        ("facts, matryoshka-trained, 1280 documents", pool("matryoshka-trained", "facts"), 2.0),
        (AT_AN_END, pool("matryoshka-trained", "tilt"), 3.0),
        ("tilt, matryoshka-prefix, 1280 documents", pool("matryoshka-prefix", "tilt"), 1.0),
    ):
        truth, hits, asked, halves, wholes = float((scores @ W).mean()), 0, [], [], 0
        for _ in range(simulations):
            hashes = rng.random(len(scores))
            state = step(Wanted(precision=points), scores, hashes).state
            if "whole" in state:
                wholes += 1
                continue
            rows = np.argsort(hashes)[: state["asked"]]
            part = Part(len(scores), len(rows), precision=points / 100)
            interval = aurac.compute(RankAccuracyCurve.from_scores(RANKS, scores[rows], part=part)).interval
            hits += covers(interval, truth)
            asked.append(len(rows) / len(scores))
            assert interval is not None
            halves.append(50 * (interval.high - interval.low))
        if wholes > simulations / 2:
            raise SystemExit(f"{name}: {wholes} of {simulations} were scored whole, so nothing was measured")
        low, high = np.quantile(halves, [0.05, 0.95])
        about = f"{np.mean(asked):.0%} asked, half-width {low:.2f} to {high:.2f}"
        about += f"; {wholes} scored whole" if wholes else ""
        tried = simulations - wholes
        bar = (COVERAGE[0], 1.0) if name == AT_AN_END else COVERAGE
        yield Row(section, f"±{points:g} points", name, hits / tried, tried, bar), about


def audits(rng: np.random.Generator, simulations: int) -> Iterator[tuple[Row, str]]:
    """The score on new documents, from an audit."""
    section = "A part of the documents: --audit, new documents, 95 % interval"
    for name, scores, share in (
        ("facts, lora, 1280 documents", pool("lora", "facts"), 0.2),
        ("facts, svd-lora, 1280 documents", pool("svd-lora", "facts"), 0.2),
        ("facts, dylora, 1280 documents", pool("dylora", "facts"), 0.2),
        ("tilt, lora, 1280 documents", pool("lora", "tilt"), 0.2),
        ("facts, dylora, 256 documents", record("dylora", 42, "facts"), 0.5),
    ):
        truth, hits, ratios, cells, tried = float((scores @ W).mean()), 0, [], [], 0
        for _ in range(simulations):
            drawn = scores[rng.integers(len(scores), size=len(scores))]
            found = audited(drawn, rng.random(len(drawn)), share)
            if found is None:
                continue
            tried += 1
            interval = aurac.compute(found).interval
            hits += covers(interval, truth)
            plain = aurac.compute(RankAccuracyCurve.from_scores(RANKS, drawn)).interval
            assert interval is not None
            assert plain is not None
            ratios.append((interval.high - interval.low) / (plain.high - plain.low))
            cells.append(float(found.part.share if found.part and found.part.share else 1.0))
        if tried < simulations / 2:
            raise SystemExit(f"{name}: {simulations - tried} of {simulations} were scored whole")
        about = f"{np.mean(cells):.0%} of the cells, half-width {np.mean(ratios):.2f} times that of all"
        about += f"; {simulations - tried} scored whole" if tried < simulations else ""
        yield Row(section, f"audit {share:g}", name, hits / tried, tried, COVERAGE), about


def differences(rng: np.random.Generator, simulations: int) -> Iterator[tuple[Row, str]]:
    """A minus B on new documents, from audits of both on the same documents."""
    section = "A part of the documents: differences of two audited runs, 95 % interval"
    for name, a, b in (
        ("facts, dylora and lora, 1280 documents", pool("dylora", "facts"), pool("lora", "facts")),
        ("facts, dylora and svd-lora, 1280 documents", pool("dylora", "facts"), pool("svd-lora", "facts")),
    ):
        truth, hits, tried = float(((a - b) @ W).mean()), 0, 0
        for _ in range(simulations):
            rows, hashes = rng.integers(len(a), size=len(a)), rng.random(len(a))
            first, second = audited(a[rows], hashes, 0.2), audited(b[rows], hashes, 0.2)
            if first is not None and second is not None:
                tried += 1
                hits += covers(paired_difference(first, second, test="t").interval, truth)
        yield Row(section, "audit 0.2, A-B", name, hits / tried, tried, COVERAGE), ""


def audited(scores: Matrix, hashes: npt.NDArray[np.float64], share: float) -> RankAccuracyCurve | None:
    """Return the curve of an audit of documents with these scores; None where the sweep scores all."""
    found = step(Wanted(audit=share), scores, hashes)
    if "whole" in found.state:
        return None
    anchor = found.state["anchor"]
    other = next(rank for rank in RANKS if rank != anchor)
    asked = np.isin(np.arange(len(scores)), list(found.documents[other]))
    column = RANKS.index(anchor)
    values = expanded(strata(scores[:, column]), asked, scores[asked])
    values[:, column] = scores[:, column]
    n = int(asked.sum())
    cells = (len(scores) + n * (len(RANKS) - 1)) / (len(scores) * len(RANKS))
    keys = [str(i) for i in range(len(scores))]
    part = Part(len(scores), n, anchor=anchor, share=cells)
    return RankAccuracyCurve.from_scores(RANKS, values, documents=keys, part=part)


def markdown(rows: list[tuple[Row, str]], seed: int) -> str:
    """Return the sections, one for each of the rows' sections."""
    lines = [
        MARKER,
        "",
        f"By resampling scores of `results/testbed-benchmark`, seed {seed}; what is asked is decided by the steps of",
        "the sweep itself. Half-widths are in points, from the 5th to the 95th percentile.",
    ]
    for section in dict.fromkeys(row.section for row, _ in rows):
        lines += [
            "",
            f"## {section}",
            "",
            "| procedure | setting | rate | ± | bar | | asked |",
            "|---|---|---|---|---|---|---|",
        ]
        for row, about in rows:
            if row.section == section and row.bar is not None:
                bar = f"{row.bar[0]:g} to {row.bar[1]:g}"
                numbers = f"{row.rate:.3f} | {row.error:.3f} | {bar} | {row.verdict}"
                lines.append(f"| {row.procedure} | {row.setting} | {numbers} | {about} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Resample, print rows as they come, write the sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    for number, case in enumerate((precision, audits, differences)):
        for row, about in case(np.random.default_rng([args.seed, number]), args.simulations):
            rows.append((row, about))
            print(
                f"{row.procedure:16} {row.setting:44} {row.rate:.3f} ± {row.error:.3f} {row.verdict}  {about}",
                flush=True,
            )
    if args.out:
        page = args.out.read_text(encoding="utf-8").partition(MARKER)[0] if args.out.exists() else ""
        args.out.write_text(f"{page.rstrip()}\n\n{markdown(rows, args.seed)}".lstrip(), encoding="utf-8")
    return 1 if any("**missed**" in row.verdict for row, _ in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
