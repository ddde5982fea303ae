"""Every error that this project raises on purpose.

AuracError
├── UnknownNameError (LookupError)   a rule, method, format, task ... that no table holds
├── PluginError (ImportError)        a package that adds a name to a table, and cannot be used
├── CurveError (ValueError)          ranks or accuracies that make no curve
├── RefusedError (ValueError)        a procedure known to mislead; the message names the right one
├── RankError (ValueError)           a rank outside 1..max_rank
├── AdapterError (ValueError)        a folder or layer that is no adapter we can use
├── ModelError (ValueError)          a base model that cannot be loaded
├── TaskError (ValueError)           an lm-eval task that cannot be built or scored
├── DataError (ValueError)           training data that cannot be read
├── OptionError (ValueError)        an option with a value that it cannot have
├── RecipeError (ValueError)         a benchmark recipe that cannot be read
├── RecordError (ValueError)         a run record that is damaged, or of another run
│   └── MissingRecordError (FileNotFoundError)   there is none where it was looked for
├── ComparisonError (ValueError)     runs that cannot be compared
├── ExecutorError (RuntimeError)     a cluster that cannot be used, or a job that it lost
└── TrainingError (RuntimeError)     a training that cannot go on

A message says what was wrong, what was given, what is allowed and what to do next, in one or two sentences. The command
line prints it as one `error:` line and exits with 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class AuracError(Exception):
    """Base of all errors raised on purpose by `aurac` and `aurac_adapters`.

    Attributes:
        in_points: The message in the unit of the command line, where that is another one; else None.
    """

    in_points: str | None = None


class PluginError(AuracError, ImportError):
    """A package that adds a name to a table, and cannot be used."""


class CurveError(AuracError, ValueError):
    """Ranks or accuracies that make no curve."""


class RefusedError(AuracError, ValueError):
    """A procedure that is known to mislead; the message names the right one."""


class RankError(AuracError, ValueError):
    """A rank outside 1..max_rank."""


class AdapterError(AuracError, ValueError):
    """A folder or layer that is no adapter we can use."""


class ModelError(AuracError, ValueError):
    """A base model that cannot be loaded."""


class TaskError(AuracError, ValueError):
    """An lm-eval task that cannot be built or scored."""


class DataError(AuracError, ValueError):
    """Training data that cannot be read."""


class OptionError(AuracError, ValueError):
    """An option with a value that it cannot have."""


class RecipeError(AuracError, ValueError):
    """A benchmark recipe that cannot be read."""


class RecordError(AuracError, ValueError):
    """A run record that is damaged, or of another run."""


class MissingRecordError(RecordError, FileNotFoundError):
    """No run record where it was looked for."""


class ComparisonError(AuracError, ValueError):
    """Runs that cannot be compared."""


class ExecutorError(AuracError, RuntimeError):
    """A cluster that cannot be used, or a job that it lost."""


class TrainingError(AuracError, RuntimeError):
    """A training that cannot go on."""


class UnknownNameError(AuracError, LookupError):
    """A name that no table holds, with the near ones.

    Example:
        >>> print(UnknownNameError("integration rule", "trapezium", ["trapezoid", "left"]))
        unknown integration rule 'trapezium'. Did you mean 'trapezoid'? Known: left, trapezoid.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, of: str = "", advice: str = "") -> None:
        """Build the message; `of` says in what, `known` longer than 30 names is not listed, `advice` is appended."""
        names = sorted(known)
        parts = [f"unknown {kind} {name!r}{f' {of}' if of else ''}."]
        if near := get_close_matches(name, names, n=3, cutoff=0.6):
            parts.append(f"Did you mean {' or '.join(repr(n) for n in near)}?")
        if len(names) <= 30:
            parts.append(f"Known: {', '.join(names)}.")
        super().__init__(" ".join([*parts, advice]).strip())
