"""Before the evaluation: which effect can so many documents and seeds show, and how many are needed for an effect."""

from __future__ import annotations

import math
from collections.abc import Callable

from aurac.errors import CurveError
from aurac.statistics.power import TTest
from aurac.statistics.seeds import MIN_SEEDS


def minimal_effect(
    sd: float,
    n_documents: int,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    seed_sd: float = 0.0,
    n_seeds: int | None = None,
) -> float:
    """Return the smallest true difference that a two-sided test finds with the stated power.

    Without seeds the statistic has a noncentral t distribution with n - 1 degrees of freedom. Two methods with S seeds
    each add 2 sigma^2 / S to the variance; the power is then averaged over what the variances, and with them
    Satterthwaite's degrees of freedom, are estimated to be. It falls with documents and is never below `seed_floor`:
    where seeds begin to dominate, a test with more documents has fewer degrees of freedom.

    Args:
        sd: Standard deviation of the per-document differences, in the unit of the score.
        n_documents: Number of documents.
        alpha: Level of the test.
        power: Probability of finding the effect.
        seed_sd: Standard deviation of a method's score between seeds, sigma.
        n_seeds: Seeds of each method, S >= 3; None when seeds are not part of the question.

    Example:
        >>> round(minimal_effect(0.3, 1172), 4)  # 2.803 * 0.3 / 34.23
        0.0246
    """
    _check(sd=sd, n_documents=n_documents, alpha=alpha, power=power, seed_sd=seed_sd, n_seeds=n_seeds)
    if n_seeds is None:
        return detectable_effect(sd / math.sqrt(n_documents), n_documents - 1, alpha=alpha, power=power)
    found = _with_seeds(sd, n_documents, seed_sd, n_seeds, alpha).smallest_effect(power)
    return max(found, _floor(seed_sd, n_seeds, alpha, power))


def detectable_effect(stderr: float, df: float = math.inf, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest true difference that a two-sided test finds, from the error of a difference.

    Example:
        >>> round(detectable_effect(0.01), 4)  # (1.96 + 0.8416) * 0.01
        0.028
    """
    return TTest(((stderr**2, df),), alpha).smallest_effect(power)


def power_of(
    effect: float,
    sd: float,
    n_documents: int,
    *,
    alpha: float = 0.05,
    seed_sd: float = 0.0,
    n_seeds: int | None = None,
) -> float:
    """Return the probability that a two-sided test finds a true difference; arguments as for `minimal_effect`.

    Example:
        >>> round(power_of(0.0246, 0.3, 1172), 2), round(power_of(0.0, 0.3, 1172), 2)
        (0.8, 0.05)
    """
    _check(sd=sd, n_documents=n_documents, alpha=alpha, power=0.5, seed_sd=seed_sd, n_seeds=n_seeds)
    if sd == 0 and seed_sd == 0:
        return 1.0 if effect != 0 else alpha
    if n_seeds is None:
        return TTest(((sd**2 / n_documents, n_documents - 1.0),), alpha).power(effect)
    return _with_seeds(sd, n_documents, seed_sd, n_seeds, alpha).power(effect)


def documents_needed(
    effect: float,
    sd: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    seed_sd: float = 0.0,
    n_seeds: int | None = None,
) -> int:
    """Return the smallest number of documents whose minimal effect is `effect` or less.

    Raises:
        CurveError: If the spread between seeds alone hides the effect, whatever the number of documents.

    Example:
        >>> documents_needed(0.01, 0.3)  # (2.802 * 0.3 / 0.01)^2
        7066
    """
    _check(sd=sd, n_documents=2, alpha=alpha, power=power, seed_sd=seed_sd, n_seeds=n_seeds)
    if not 0 < effect < math.inf:
        raise CurveError(
            f"effect {effect:g} is not positive and finite. Give the smallest difference that matters, such as 0.01."
        )
    if n_seeds is None:
        return _search(effect, lambda n: minimal_effect(sd, n, alpha=alpha, power=power))
    floor = seed_floor(seed_sd, n_seeds, alpha=alpha, power=power)
    if effect <= floor:
        raise CurveError(
            f"with {n_seeds} seeds no number of documents shows an effect of {effect:g}: the spread between seeds "
            f"hides what is below {floor:.3g}. Train more seeds."
        )
    return _search(effect, lambda n: minimal_effect(sd, n, alpha=alpha, power=power, seed_sd=seed_sd, n_seeds=n_seeds))


def seed_floor(seed_sd: float, n_seeds: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the minimal effect of two methods with S seeds each on infinitely many documents.

    With few seeds it is large: the error itself is then known badly.

    Example:
        >>> round(seed_floor(0.003, 5), 4), round(seed_floor(0.003, 3), 4)
        (0.0063, 0.0105)
    """
    _check(sd=0.0, n_documents=2, alpha=alpha, power=power, seed_sd=seed_sd, n_seeds=n_seeds)
    return _floor(seed_sd, n_seeds, alpha, power)


def _floor(seed_sd: float, n_seeds: int, alpha: float, power: float) -> float:
    return _with_seeds(0.0, 2, seed_sd, n_seeds, alpha).smallest_effect(power)


def _with_seeds(sd: float, n_documents: int, seed_sd: float, n_seeds: int, alpha: float) -> TTest:
    parts = ((sd**2 / n_documents, n_documents - 1.0), *[(seed_sd**2 / n_seeds, n_seeds - 1.0)] * 2)
    return TTest(parts, alpha)


def _search(effect: float, minimal: Callable[[int], float]) -> int:
    """Return the smallest n with minimal(n) <= effect; `minimal` falls with n."""
    high = 2
    while minimal(high) > effect:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if minimal(middle) > effect else (low, middle)
    return high


def _check(*, sd: float, n_documents: int, alpha: float, power: float, seed_sd: float, n_seeds: int | None) -> None:
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise CurveError(f"{name} {value:g} is not between 0 and 1.")
    for name, value in (("sd", sd), ("seed_sd", seed_sd)):
        if not 0 <= value < math.inf:
            what = "infinite" if value == math.inf else "negative or not a number"
            raise CurveError(f"{name} {value:g} is {what}. Give a standard deviation, such as 0.3.")
    if n_documents < 2:
        raise CurveError(f"{n_documents} documents show no spread. Plan with at least 2.")
    if n_seeds is not None and n_seeds < 2:
        raise CurveError(f"{n_seeds} seed shows no spread. Plan with at least {MIN_SEEDS}, or leave seeds out.")
    if n_seeds is not None and n_seeds < MIN_SEEDS:
        raise CurveError(
            f"{n_seeds} seeds of each method make no test, since their error is hardly known. Plan with at least "
            f"{MIN_SEEDS}, or leave seeds out."
        )
    if n_seeds is None and seed_sd > 0:
        raise CurveError("seed_sd needs n_seeds, the number of seeds of each method.")
