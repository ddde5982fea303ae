"""What every report can do: be written in any format, and show itself in a notebook."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from aurac.errors import UnknownNameError
from aurac.report.formats import FORMATS
from aurac.report.table import Table

if TYPE_CHECKING:
    import pandas as pd

P = ParamSpec("P")
R = TypeVar("R", bound="Report")


class Report(ABC):
    """Something that is printed; formats ask it for tables, for records, or for everything at once."""

    @abstractmethod
    def tables(self) -> list[Table]:
        """Return the tables for people, in the order in which they are read."""

    @abstractmethod
    def records(self) -> list[dict[str, Any]]:
        """Return flat dictionaries for spreadsheets: fractions, None where something is not known."""

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """Return everything as JSON holds it: fractions, None where something is not known."""

    def render(self, output: str = "terminal") -> str:
        """Return the report as text.

        Raises:
            UnknownNameError: If `output` is not in `aurac.report.formats.FORMATS`.
        """
        if output not in FORMATS:
            raise UnknownNameError("output format", output, FORMATS)
        text: str = FORMATS[output](self)
        return text

    def to_frame(self) -> pd.DataFrame:
        """Return `records` as a DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def to_markdown(self) -> str:
        """Return GitHub-flavoured Markdown tables."""
        return self.render("markdown")

    def to_latex(self) -> str:
        """Return LaTeX tables that need booktabs."""
        return self.render("latex")

    def to_html(self) -> str:
        """Return HTML figures that hold the tables."""
        return self.render("html")

    def to_csv(self) -> str:
        """Return `records` as CSV."""
        return self.render("csv")

    def to_json(self) -> str:
        """Return `content` as JSON."""
        return self.render("json")

    def __str__(self) -> str:
        """Return the tables for a terminal."""
        return self.render("terminal")

    def _repr_html_(self) -> str:
        """Return the tables, for notebooks."""
        return self.render("html")


@dataclass(frozen=True)
class Tables(Report):
    """Tables with nothing behind them: their texts are their records, under the headings of the columns.

    What a new format is tried with.
    """

    sheets: tuple[Table, ...]

    def tables(self) -> list[Table]:
        """Return the tables."""
        return list(self.sheets)

    def records(self) -> list[dict[str, Any]]:
        """Return one dictionary of texts a row, of all tables."""
        return [record for table in self.sheets for record in _records(table)]

    def content(self) -> dict[str, Any]:
        """Return titles, rows and notes."""
        return {"tables": [{"title": t.title, "rows": _records(t), "notes": t.notes} for t in self.sheets]}


def _records(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.columns, (cell.text for cell in row), strict=True)) for row in table.rows]


def written(compute: Callable[P, Any], kind: type[R]) -> Callable[P, R]:
    """Return a function of the same arguments that gives the numbers of `compute` as a report.

    Args:
        compute: Returns a dataclass of `aurac.analysis`.
        kind: A report that is such a dataclass too.
    """

    @wraps(compute)
    def report(*args: P.args, **kwargs: P.kwargs) -> R:
        return kind(**vars(compute(*args, **kwargs)))

    report.__signature__ = inspect.signature(compute).replace(return_annotation=kind.__name__)  # type: ignore[attr-defined]
    return report
