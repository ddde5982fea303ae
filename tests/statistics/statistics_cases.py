"""Curves written as rows of right and wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from aurac.curve.curve import RankAccuracyCurve

RANKS = (1, 2, 4, 8)


def curve(text: str, **labels: Any) -> RankAccuracyCurve:
    """A curve at ranks 1, 2, 4, 8, one document a word; documents are named by their position."""
    scores = np.array([[float(bit) for bit in row] for row in text.split()])
    documents = [f"t/{number}" for number in range(len(scores))]
    return RankAccuracyCurve.from_scores(RANKS, scores, documents=documents, **labels)
