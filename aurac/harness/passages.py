"""Which documents share a passage: those with the same value of a field of the task's documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aurac.errors import UnknownNameError

FIELDS = ("passage", "passage_id", "context", "article", "article_id", "paragraph", "story")
"""Fields that name a passage in lm-eval's tasks, the first that some documents share."""
NONE = "none"
"""The name that asks for no passages."""


def passages(task: str, documents: Mapping[int, Mapping[str, Any]], field: str | None = None) -> dict[str, Any] | None:
    """Return the field and the number of each document's passage, in the order of their ids; None where none is shared.

    Args:
        task: Name of the task, for the message.
        documents: Id -> fields of the document.
        field: Which field, "none", or by default the first of `FIELDS` that documents share.

    Raises:
        UnknownNameError: If no document has this field.

    Example:
        >>> passages("t", {0: {"passage": "A"}, 1: {"passage": "B"}, 2: {"passage": "A"}})
        {'field': 'passage', 'labels': [0, 1, 0]}
    """
    rows = [documents[number] if isinstance(documents[number], Mapping) else {} for number in sorted(documents)]
    known = list(dict.fromkeys(str(name) for row in rows for name in row))
    if field not in (None, NONE, *known):
        raise UnknownNameError("field of the documents", str(field), known, of=f"of {task!r}")
    for name in () if field == NONE else FIELDS if field is None else (field,):
        labels = _labels(rows, name)
        if labels and (field is not None or 1 < len(set(labels)) < len(labels)):
            return {"field": name, "labels": labels}
    return None


def _labels(rows: Sequence[Mapping[str, Any]], field: str) -> list[int]:
    """Number the values of a field; none where a document lacks it."""
    if not all(field in row for row in rows):
        return []
    values = [json.dumps(row[field], sort_keys=True, default=str) for row in rows]
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return [numbers[value] for value in values]
