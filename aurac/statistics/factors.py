"""What is drawn beside documents: training seeds, few-shot examples, or both; and what a curve knows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.seeds import SeedScores
from aurac.errors import CurveError
from aurac.statistics.clusters import linearised

FACTORS = {"docs+prompts": ("prompts",), "docs+seeds+prompts": ("seeds", "prompts")}
"""Target -> what is drawn beside documents; of all others the seeds."""
_LACKING = {
    "seeds": "has one training, which shows no spread between seeds. Pool the curves of several with "
    "RankAccuracyCurve.from_seeds.",
    "prompts": "has one draw of few-shot examples, which shows no spread between draws. Score with several "
    "(--fewshot-seeds 1,2,3), or ask for target='docs'.",
}


def factors(target: str) -> tuple[str, ...]:
    """Return what a target calls random beside documents.

    Example:
        >>> factors("docs+seeds"), factors("docs+seeds+prompts")
        (('seeds',), ('seeds', 'prompts'))
    """
    return FACTORS.get(target, ("seeds",))


def widest_target(curves: Sequence[RankAccuracyCurve]) -> str:
    """Return the target in which everything is random that all of these curves know several of.

    Curves without per-document scores have no error, so they say nothing.
    """
    known = [curve for curve in curves if curve.scores is not None]
    names = [name for name in _LACKING if known and all(getattr(curve, name) is not None for curve in known)]
    return "+".join(["docs", *names])


def drawn(curve: RankAccuracyCurve, factor: str) -> SeedScores:
    """Return the scores under every seed, or under every draw of examples.

    Raises:
        CurveError: If the curve has one training, or one draw.
    """
    found: SeedScores | None = getattr(curve, factor)
    if found is None:
        raise CurveError(f"{curve.name or 'a curve'} {_LACKING[factor]}")
    return found


def drawn_by_cluster(curve: RankAccuracyCurve, factor: str) -> SeedScores:
    """Return `drawn` with one row a cluster, where documents share passages."""
    found = drawn(curve, factor)
    return found if curve.clusters is None else replace(found, values=linearised(found.values, curve.clusters))


def fewest(curves: Sequence[RankAccuracyCurve], target: str) -> int:
    """Return the smallest number of seeds, or of draws, that stands behind an error."""
    return min(len(drawn(curve, factor).labels) for curve in curves for factor in factors(target))
