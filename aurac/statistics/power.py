"""Power of the two-sided t test, with the error known as badly as it is in practice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aurac.quadrature import Vector

_POINTS = 4096
"""Draws of the estimated variances over which the power is averaged: the points of a Sobol sequence."""


@dataclass(frozen=True)
class TTest:
    """A test whose variance is a sum of estimated parts, at Satterthwaite's degrees of freedom.

    With one part this is Student's test, and its statistic has the noncentral t distribution.

    Attributes:
        parts: (true variance, degrees of freedom) of each part; infinite degrees of freedom where it is known.
        alpha: Two-sided level.
    """

    parts: tuple[tuple[float, float], ...]
    alpha: float = 0.05

    @property
    def stderr(self) -> float:
        """True standard error."""
        return math.sqrt(math.fsum(variance for variance, _ in self.parts))

    @cached_property
    def _critical(self) -> Vector:
        """Differences, in true standard errors, from which on each draw of the variances rejects, shape (points,)."""
        from scipy.special import gammaincinv, ndtri, stdtrit
        from scipy.stats import qmc

        if all(math.isinf(df) for _, df in self.parts):
            return np.array([ndtri(1 - self.alpha / 2)])
        uniform = qmc.Sobol(len(self.parts), scramble=False).random(_POINTS) + 0.5 / _POINTS
        drawn = [v * gammaincinv(df / 2, u) * 2 / df for (v, df), u in zip(self.parts, uniform.T, strict=True)]
        total = np.sum(drawn, axis=0)
        spread = np.sum([d**2 / df for d, (_, df) in zip(drawn, self.parts, strict=True)], axis=0)
        return np.asarray(np.sqrt(total) / self.stderr * stdtrit(total**2 / spread, 1 - self.alpha / 2))

    def power(self, effect: float) -> float:
        """Return the probability of finding a true difference.

        Example:
            >>> round(TTest(((0.01, 9.0),)).power(0.28), 3)  # 1 - nct.cdf(2.262, df=9, nc=2.8)
            0.703
        """
        from scipy.special import ndtr

        shift = abs(effect) / self.stderr
        return float(np.mean(ndtr(shift - self._critical) + ndtr(-shift - self._critical)))

    def smallest_effect(self, power: float) -> float:
        """Return the smallest effect that is found with this power; 0 where there is no error."""
        from scipy.optimize import brentq

        if self.stderr == 0 or power <= self.alpha:
            return 0.0
        high = 4 * self.stderr
        while self.power(high) < power:
            high *= 2
        return float(brentq(lambda effect: self.power(effect) - power, 0.0, high, xtol=1e-12 * self.stderr, rtol=1e-12))
