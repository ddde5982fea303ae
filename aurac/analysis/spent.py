"""What the training of a curve took: the tokens that were read, as the record has them from the adapter's folder."""

from __future__ import annotations

from collections.abc import Sequence

from aurac.results import Run


def training_tokens(run: Run) -> int | None:
    """Return the tokens that were read to train a curve, of a method the mean over its seeds; None if not known.

    A rotated adapter has those of the adapter that it was made from, a squeezed one those of its whole way, and a grid
    the sum over its ranks.
    """
    found = [one.record.get("training_tokens") for one in run.seeds or (run,)]
    known = [tokens for tokens in found if isinstance(tokens, int) and not isinstance(tokens, bool)]
    return round(sum(known) / len(known)) if known and len(known) == len(found) else None


def any_known(runs: Sequence[Run]) -> bool:
    """Tell whether a table of these runs has something to say about their training."""
    return any(training_tokens(run) is not None for run in runs)
