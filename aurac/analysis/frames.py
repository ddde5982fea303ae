"""Data frames of any library as pandas frames, and columns of numbers that say which row is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aurac.errors import CurveError
from aurac.quadrature import Vector


def as_pandas(source: Any) -> Any:
    """Return a frame of another library (polars, Arrow, DuckDB and others) as a pandas frame; anything else as it is.

    They hand their columns over by Arrow's C interface (`__arrow_c_stream__`) or by the dataframe interchange protocol
    (`__dataframe__`).
    """
    if hasattr(source, "iloc") or isinstance(source, np.ndarray):  # pandas has both protocols too
        return source
    if hasattr(source, "__arrow_c_stream__"):
        import pyarrow as pa

        try:
            return pa.table(source).to_pandas()
        except (TypeError, pa.ArrowInvalid):  # one column has the same interface, and is no frame
            return source
    if hasattr(source, "__dataframe__"):
        from pyarrow.interchange import from_dataframe

        return from_dataframe(source).to_pandas()
    if hasattr(source, "collect") and hasattr(source, "collect_schema"):
        raise CurveError(f"{type(source).__name__} is a plan of a frame and no frame. Give its result: .collect().")
    return source


def numbers(frame: Any, column: str, *, whole: bool = False) -> Vector:
    """Return a column as finite floats, shape (rows,).

    Args:
        frame: A pandas frame.
        column: Its name.
        whole: Whether they must be positive whole numbers, as ranks are.

    Raises:
        CurveError: For the first row that holds something else, by its label and the column.
    """
    import pandas as pd

    values = frame[column]
    if isinstance(values, pd.DataFrame):
        raise CurveError(f"the DataFrame has the column {column} twice. Keep one of them.")
    found: Vector = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(found)
    if whole:
        booleans = np.fromiter((isinstance(value, (bool, np.bool_)) for value in values), dtype=bool, count=len(values))
        with np.errstate(invalid="ignore"):
            wrong |= booleans | (found != np.floor(found)) | (found < 1)
    if wrong.any():
        at = int(wrong.argmax())
        wanted = "rank, a whole number from 1" if whole else "number"
        more = f" ({int(wrong.sum())} such rows)" if wrong.sum() > 1 else ""
        raise CurveError(
            f"row {frame.index[at]} of the DataFrame, column {column}: {_shown(values.iloc[at])} is no {wanted}{more}. "
            "Correct it, or leave the document or rank out everywhere."
        )
    return found


def check_filled(frame: Any, columns: Sequence[str]) -> None:
    """Raise `CurveError` for the first row that has nothing in one of these columns, by its label and the column."""
    for column in columns:
        empty = frame[column].isna().to_numpy()
        if empty.any():
            at = int(empty.argmax())
            shown = _shown(frame[column].iloc[at])
            raise CurveError(
                f"row {frame.index[at]} of the DataFrame, column {column}: {shown} says nothing. Fill it in, or leave "
                "the row out."
            )


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)[:60]
