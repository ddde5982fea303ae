"""That a curve rests on a part of what its benchmark could ask, and which part."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Which documents were asked.

    Attributes:
        n_total: Documents of the benchmark.
        n_asked: Documents that were asked at every rank.
        precision: Half-width of the interval that was asked for, a fraction; None for an audit.
        anchor: The rank at which all documents were asked; None where every rank was asked the same.
        share: Share of the cells (document, rank) of the whole benchmark that was asked.
    """

    n_total: int
    n_asked: int
    precision: float | None = None
    anchor: int | None = None
    share: float | None = None

    @property
    def is_audit(self) -> bool:
        """Whether all documents were asked at one rank, and scores are expanded from the audited ones."""
        return self.anchor is not None

    def __str__(self) -> str:
        """Say it in words.

        Example:
            >>> print(Part(1172, 234, anchor=4))
            234 of 1172 documents, all at rank 4
        """
        return f"{self.n_asked} of {self.n_total} documents" + (f", all at rank {self.anchor}" if self.is_audit else "")

    @property
    def asked(self) -> str:
        """The beginning of a sentence about it.

        Example:
            >>> Part(1172, 234, anchor=4).asked
            '234 of 1172 documents were asked, all 1172 at rank 4'
        """
        everywhere = f"{self.n_asked} of {self.n_total} documents were asked"
        return everywhere + (f", all {self.n_total} at rank {self.anchor}" if self.is_audit else "")

    def signed(self) -> str:
        """Return what signatures say.

        Example:
            >>> Part(1172, 512).signed(), Part(1172, 234, anchor=4).signed()
            ('512-of-1172', '234-of-1172-all-at-4')
        """
        return f"{self.n_asked}-of-{self.n_total}" + (f"-all-at-{self.anchor}" if self.is_audit else "")
