"""Who is tied with whom: leaderboard places that the data can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True)
class Tiers:
    """Places of methods, given all pairwise tests.

    Attributes:
        order: Names from best to worst score.
        places: Name -> (first, last) place it may have: 1 + number of methods significantly better, and the number of
            methods minus those significantly worse. With p-values adjusted over all pairs, all places hold at once with
            the level of the test (Mogstad et al. 2024).
        cliques: Largest groups in which no pair differs significantly, each in order; the bars of a critical-difference
            diagram. One in between may be missing from a group: tests of its own may tell it apart.
    """

    order: tuple[str, ...]
    places: Mapping[str, tuple[int, int]]
    cliques: tuple[tuple[str, ...], ...]

    def label(self, name: str) -> str:
        """Return "2" for a certain place, "1-3 tied" for a range."""
        first, last = self.places[name]
        return str(first) if first == last else f"{first}-{last} tied"


def tiers(
    values: Mapping[str, float],
    p_values: Mapping[tuple[str, str], float],
    *,
    alpha: float = 0.05,
    higher_is_better: bool = True,
) -> Tiers:
    """Return the tiers of methods from their scores and the adjusted p-values of all pairs.

    Args:
        values: Name -> score.
        p_values: (name, name) -> p-value adjusted over all pairs; each pair once, in either order.
        alpha: A pair differs when its p-value is at most this.
        higher_is_better: Direction of the score.

    Example:
        >>> made = tiers({"a": 0.6, "b": 0.5, "c": 0.4}, {("a", "b"): 0.3, ("a", "c"): 0.01, ("b", "c"): 0.2})
        >>> [made.label(name) for name in made.order], made.cliques
        (['1-2 tied', '1-3 tied', '2-3 tied'], (('a', 'b'), ('b', 'c')))
    """
    order = sorted(values, key=lambda name: -values[name] if higher_is_better else values[name])
    differs = {frozenset(pair) for pair, p in p_values.items() if p <= alpha}
    places = {}
    for number, name in enumerate(order):
        better = sum(frozenset((name, other)) in differs for other in order[:number])
        worse = sum(frozenset((name, other)) in differs for other in order[number + 1 :])
        places[name] = (1 + better, len(order) - worse)
    return Tiers(tuple(order), places, _cliques(order, differs))


def _cliques(order: Sequence[str], differs: set[frozenset[str]]) -> tuple[tuple[str, ...], ...]:
    """Return the largest groups of names without a differing pair, the best first; singles are left out."""
    import networkx  # torch needs it too, so it is there; a tenth of a second that only tests need

    rank = {name: number for number, name in enumerate(order)}
    tied = networkx.Graph(pair for pair in combinations(order, 2) if frozenset(pair) not in differs)
    cliques = [tuple(sorted(clique, key=rank.__getitem__)) for clique in networkx.find_cliques(tied)]
    return tuple(sorted(cliques, key=lambda clique: [rank[name] for name in clique]))
