"""Synthetic documents whose true AURAC is known exactly, with the correlations of STATISTICS.md section 4 ("mid").

A document is right when a standard normal latent lies below the threshold of the accuracy, so that the accuracy at
every rank, over new documents and new seeds, is what was asked for. The latent is the sum of a difficulty shared by
the methods, an effect of the document on the method, one on the run (method and seed), and noise that is AR(1) over
rank octaves. Shares are chosen so that the mean correlation between ranks is 0.77, neighbouring ranks disagree on 8 %
of documents, and two methods on 23 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Array = npt.NDArray[np.float64]

RANKS = (1, 2, 4, 8, 16, 32, 64, 128)
NESTED = np.array([0.46, 0.48, 0.498, 0.515, 0.53, 0.543, 0.553, 0.56])
"""A curve that saturates: rank 64 loses 0.7 points to rank 128, rank 32 loses 1.7, rank 16 loses 3.0."""
CEILING = np.linspace(0.90, 0.97, 8)


@dataclass(frozen=True)
class Shares:
    """Variances of the parts of the latent, which sum to 1, and the correlation of the noise over one octave."""

    difficulty: float = 0.75
    method: float = 0.055
    run: float = 0.05
    noise: float = 0.145
    octave: float = 0.8


MID = Shares()


def scores(
    rng: np.random.Generator,
    accuracies: list[Array],
    *,
    n: int,
    n_seeds: int = 1,
    seed_sd: float = 0.0,
    seed_unit: str = "run",
    seed_effects: Array | None = None,
    cluster_size: int = 1,
    shares: Shares = MID,
) -> list[Array]:
    """Return scores of each method, shape (n, seeds, ranks).

    Args:
        rng: Source of everything random.
        accuracies: True accuracy of each method at each rank.
        n: Documents.
        n_seeds: Runs of each method.
        seed_sd: Standard deviation of the accuracy between runs, at an accuracy of 1/2.
        seed_unit: "run" for one effect a run, "rank" for one a run and rank.
        seed_effects: Effects of the runs in units of their spread, shape (1, seeds, 1), that all methods of this call
            have; by default each method has its own.
        cluster_size: Documents of a passage, which share their difficulty.
        shares: Of the latent.
    """
    ranks = len(accuracies[0])
    passages = np.repeat(rng.normal(size=(-(-n // cluster_size), 1, 1)), cluster_size, axis=0)[:n]
    effect = seed_sd * np.sqrt(2 * np.pi)  # the density of the latent at 0 turns accuracy into latent units
    shape = (1, n_seeds, ranks if seed_unit == "rank" else 1)
    made = []
    for accuracy in accuracies:
        latent = np.sqrt(shares.difficulty) * passages + np.sqrt(shares.method) * rng.normal(size=(n, 1, 1))
        latent = latent + np.sqrt(shares.run) * rng.normal(size=(n, n_seeds, 1))
        latent = latent + np.sqrt(shares.noise) * _autoregressive(rng, (n, n_seeds, ranks), shares.octave)
        seeds = rng.normal(size=shape) if seed_effects is None else seed_effects
        # Dividing by the total spread keeps the accuracy over new seeds exact.
        latent = (latent + effect * seeds) / np.sqrt(1 + effect**2)
        made.append((latent < ndtri(accuracy)).astype(float))
    return made


def _autoregressive(rng: np.random.Generator, shape: tuple[int, int, int], octave: float) -> Array:
    noise = rng.normal(size=shape)
    for k in range(1, shape[2]):
        noise[:, :, k] = octave * noise[:, :, k - 1] + np.sqrt(1 - octave**2) * noise[:, :, k]
    return noise
