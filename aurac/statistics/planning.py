"""Before the evaluation: which effect can so many documents and seeds show, and how many are needed for an effect."""

from __future__ import annotations

import math
from collections.abc import Callable

from aurac.errors import CurveError


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

    (z_{1-alpha/2} + z_power) * sd / sqrt(n) without seeds. Two methods with S seeds each add 2 sigma^2 / S to the
    variance, and t quantiles at Satterthwaite's degrees of freedom, 2 (S - 1) for the seeds, replace z.

    Args:
        sd: Standard deviation of the per-document differences, in the unit of the score.
        n_documents: Number of documents.
        alpha: Level of the test.
        power: Probability of finding the effect.
        seed_sd: Standard deviation of a method's score between seeds, sigma.
        n_seeds: Seeds of each method, S >= 2; None when seeds are not part of the question.

    Example:
        >>> round(minimal_effect(0.3, 1172), 4)  # 2.8016 * 0.3 / 34.23
        0.0246
    """
    _check(sd=sd, n_documents=n_documents, alpha=alpha, power=power, seed_sd=seed_sd, n_seeds=n_seeds)
    return detectable_effect(*_error(sd, n_documents, seed_sd, n_seeds), alpha=alpha, power=power)


def detectable_effect(stderr: float, df: float = math.inf, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest true difference that a two-sided test finds, from the error of a difference.

    Example:
        >>> round(detectable_effect(0.01), 4)  # (1.96 + 0.8416) * 0.01
        0.028
    """
    return (_quantile(1 - alpha / 2, df) + _quantile(power, df)) * stderr


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
    stderr, df = _error(sd, n_documents, seed_sd, n_seeds)
    if stderr == 0:
        return 1.0 if effect != 0 else alpha
    shift, critical = abs(effect) / stderr, _quantile(1 - alpha / 2, df)
    return _probability(shift - critical, df) + _probability(-shift - critical, df)


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
        >>> documents_needed(0.01, 0.3)  # (2.8016 * 0.3 / 0.01)^2
        7064
    """
    _check(sd=sd, n_documents=2, alpha=alpha, power=power, seed_sd=seed_sd, n_seeds=n_seeds)
    if not 0 < effect < math.inf:
        raise CurveError(
            f"effect {effect:g} is not positive and finite. Give the smallest difference that matters, such as 0.01."
        )
    if n_seeds is None:
        # The relative 1e-12 keeps an exact root from being rounded up.
        return max(2, math.ceil(((_quantile(1 - alpha / 2) + _quantile(power)) * sd / effect) ** 2 * (1 - 1e-12)))
    floor = seed_floor(seed_sd, n_seeds, alpha=alpha, power=power)
    if effect <= floor:
        raise CurveError(
            f"with {n_seeds} seeds no number of documents shows an effect of {effect:g}: the spread between seeds "
            f"hides what is below {floor:.3g}. Train more seeds."
        )
    return _search(effect, lambda n: minimal_effect(sd, n, alpha=alpha, power=power, seed_sd=seed_sd, n_seeds=n_seeds))


def seed_floor(seed_sd: float, n_seeds: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the minimal effect of two methods with S seeds each on infinitely many documents.

    (t_{1-alpha/2} + t_power) * sigma * sqrt(2 / S), with 2 (S - 1) degrees of freedom.

    Example:
        >>> round(seed_floor(0.003, 3), 4)  # (2.776 + 0.941) * 0.003 * 0.8165
        0.0091
    """
    _check(sd=0.0, n_documents=2, alpha=alpha, power=power, seed_sd=seed_sd, n_seeds=n_seeds)
    df = 2.0 * (n_seeds - 1)
    return (_quantile(1 - alpha / 2, df) + _quantile(power, df)) * seed_sd * math.sqrt(2 / n_seeds)


def _error(sd: float, n_documents: int, seed_sd: float, n_seeds: int | None) -> tuple[float, float]:
    """Return the standard error of the difference and its degrees of freedom (infinite without seeds)."""
    documents = sd**2 / n_documents
    if n_seeds is None:
        return math.sqrt(documents), math.inf
    seeds, df_seeds = 2 * seed_sd**2 / n_seeds, 2 * (n_seeds - 1)
    spread = documents**2 / (n_documents - 1) + seeds**2 / df_seeds
    variance = documents + seeds
    return math.sqrt(variance), variance**2 / spread if spread > 0 else math.inf


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


def _quantile(p: float, df: float = math.inf) -> float:
    from scipy.special import ndtri, stdtrit

    return float(ndtri(p) if math.isinf(df) else stdtrit(df, p))


def _probability(x: float, df: float) -> float:
    from scipy.special import ndtr, stdtr

    return float(ndtr(x) if math.isinf(df) else stdtr(df, x))


def _check(*, sd: float, n_documents: int, alpha: float, power: float, seed_sd: float, n_seeds: int | None) -> None:
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise CurveError(f"{name} {value:g} is not between 0 and 1.")
    for name, value in (("sd", sd), ("seed_sd", seed_sd)):
        if not value >= 0:
            raise CurveError(f"{name} {value:g} is negative or not a number. Give a standard deviation, such as 0.3.")
    if n_documents < 2:
        raise CurveError(f"{n_documents} documents show no spread. Plan with at least 2.")
    if n_seeds is not None and n_seeds < 2:
        raise CurveError(f"{n_seeds} seed shows no spread. Plan with at least 2, or leave seeds out.")
    if n_seeds is None and seed_sd > 0:
        raise CurveError("seed_sd needs n_seeds, the number of seeds of each method.")
