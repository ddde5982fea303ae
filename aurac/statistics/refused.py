"""Procedures that are known to mislead on rank-accuracy curves: asked for by name, they are refused with a reason.

The numbers are simulations of this project (docs/validation.md) unless a source is named.
"""

from __future__ import annotations

from collections.abc import Iterable

from aurac.errors import RefusedError, UnknownNameError
from aurac.quadrature import REFUSED_RULES

REFUSED: dict[str, str] = {
    **REFUSED_RULES,
    "independent-ranks": (
        "adding the errors of single ranks (lm-eval's acc_stderr) in quadrature ignores that all ranks answer the same "
        "documents; its 95 % interval covers 55-77 %. Keep per-document scores and use ci='wilson' or 't'."
    ),
    "cell-flip": (
        "flipping the sign of single (document, rank) cells takes ranks for independent and rejects 32 % of true "
        "nulls at 5 %. Use test='sign-flip', which flips a document's whole row."
    ),
    "unpaired-z": (
        "two methods scored on the same documents are not independent, and ignoring the pairs loses the power (5 % "
        "instead of 38 %). Use test='sign-flip' or 't', on the differences of each document."
    ),
    "normality-pretest": (
        "choosing a test by a normality test on the same data spoils its error rate. Use test='sign-flip', which tests "
        "whether the differences are symmetric around 0 and is exact where the two runs could be exchanged."
    ),
    "iqm": (
        "the interquartile mean over documents of right/wrong scores is 0 or 1 for most tasks and estimates nothing "
        "one wants. Use the mean, aurac.compute."
    ),
    "aso": (
        "almost stochastic order compares distributions over runs, not paired documents, and its recipe is one-sided. "
        "Use test='sign-flip', or the docs x seeds estimate where there are several runs."
    ),
    "tukey": "Tukey's test in scipy takes the methods for unpaired samples. Use paired tests with adjust='holm'.",
    "dunnett": "Dunnett's test in scipy takes the methods for unpaired samples. Use paired tests with adjust='holm'.",
    "studentized-bootstrap": (
        "near 0 and 1 resamples without spread make the studentised bootstrap infinitely wide. Use ci='wilson' or "
        "'bca'."
    ),
    "mixed-model": (
        "mixed models for this design fit in closed form only when balanced, and then equal the moment estimator. Use "
        "aurac.statistics.seeds.two_way."
    ),
}
"""Name -> why it is not offered and what to use instead."""


def refuse(name: str) -> None:
    """Raise `RefusedError` with the reason and the right procedure; `UnknownNameError` for a name that is not refused.

    Example:
        >>> refuse("tukey")
        Traceback (most recent call last):
        ...
        aurac.errors.RefusedError: 'tukey' is refused: Tukey's test in scipy takes the methods for unpaired samples...
    """
    if name not in REFUSED:
        raise UnknownNameError("refused procedure", name, REFUSED)
    raise RefusedError(f"{name!r} is refused: {REFUSED[name]}")


def check_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is known; refuse it with the reason if it is a misleading one, else `UnknownNameError`."""
    names = list(known)
    if name in names:
        return name
    if name in REFUSED:
        refuse(name)
    raise UnknownNameError(kind, name, names)
