"""All pairs of several methods on the same documents, tested as one family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError
from aurac.statistics.alignment import align
from aurac.statistics.multiplicity import adjust
from aurac.statistics.over_seeds import method_contrast
from aurac.statistics.paired import PairedDifference, paired_difference
from aurac.statistics.resample import DEFAULT_SEED
from aurac.statistics.tiers import Tiers, tiers


@dataclass(frozen=True)
class Pairwise:
    """Differences of all pairs.

    Attributes:
        values: Name -> AURAC on the common documents.
        differences: (A, B) -> A minus B.
        p_adjusted: (A, B) -> p-value adjusted over all pairs; empty where two training seeds make no test.
        higher_is_better: Direction of the score.
    """

    values: Mapping[str, float]
    differences: Mapping[tuple[str, str], PairedDifference]
    p_adjusted: Mapping[tuple[str, str], float]
    higher_is_better: bool

    def tiers(self, alpha: float = 0.05) -> Tiers:
        """Return the places that the tests can tell apart at level `alpha`."""
        return tiers(self.values, self.p_adjusted, alpha=alpha, higher_is_better=self.higher_is_better)


def pairwise(
    curves: Mapping[str, RankAccuracyCurve],
    *,
    seed: int = DEFAULT_SEED,
    adjustment: str = "holm",
    missing: str = "error",
    target: str = "docs",
    **options: Any,
) -> Pairwise:
    """Compare every curve with every other.

    Args:
        curves: Name -> curve; at least 2, on the same ranks.
        seed: Of the random numbers; every pair starts from it, so that its p-value does not depend on the others.
        adjustment: A name in `aurac.statistics.multiplicity.ADJUSTMENTS`, over all pairs.
        missing: What to do with documents that some curve lacks, "error" or "drop".
        target: "docs", or another name in `aurac.statistics.seeds.TARGETS` for curves that hold several seeds.
        **options: As for `paired_difference`, or as for `method_contrast` where seeds are part of the target.

    Raises:
        ComparisonError: If there are fewer than two curves, or they cannot be joined.
    """
    if len(curves) < 2:
        raise ComparisonError(f"{len(curves)} curve makes no pair. Give at least 2.")
    aligned = align(list(curves.values()), missing=missing)
    curves = dict(zip(curves, aligned, strict=True))

    def difference(a: RankAccuracyCurve, b: RankAccuracyCurve) -> PairedDifference:
        if target == "docs":
            return paired_difference(a, b, rng=np.random.default_rng(seed), **options)
        return method_contrast([a], [b], target=target, **options)

    differences = {(a, b): difference(curves[a], curves[b]) for a, b in combinations(curves, 2)}
    p_values = {pair: d.p_value for pair, d in differences.items() if d.p_value is not None}
    adjusted = dict(zip(p_values, adjust(list(p_values.values()), adjustment), strict=True))
    area = {key: options[key] for key in ("axis", "rule", "within") if key in options}
    return Pairwise(
        {name: curve.area(**area) for name, curve in curves.items()},
        differences,
        adjusted,
        next(iter(curves.values())).higher_is_better,
    )
