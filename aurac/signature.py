"""The line under a score that says how it was made, so that two scores can be compared or told apart.

`AURAC|axis:log2|rule:trap|ranks:1-2-4|metric:acc_norm|task:arc_challenge@1|shots:25|n:1172|docs:3f9c2a71|version:0.1.0`
names every argument that can move the number; ` || ` starts the part that moves only the error bars. The idea is
sacreBLEU's (Post 2018); the parser and the comparison are what it lacks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from aurac import __version__
from aurac.curve import RankAccuracyCurve
from aurac.errors import AuracError

_HEAD = "AURAC"
_SAFE = " ,.-_@+/()[]"
_SHORT = {"trapezoid": "trap"}


@dataclass(frozen=True)
class Signature:
    """Keys and values of the score part and of the inference part, in the order in which they are printed.

    Example:
        >>> a = Signature({"axis": "log2", "version": "0.1.0"}, {"ci": "t95"})
        >>> str(a)
        'AURAC|axis:log2|version:0.1.0 || ci:t95'
        >>> Signature.parse(str(a)) == a
        True
        >>> a.differences(Signature({"axis": "linear", "version": "0.1.7"}))
        {'axis': ('log2', 'linear')}
    """

    score: Mapping[str, str]
    inference: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Print both parts on one line."""
        line = "|".join([_HEAD, *_pairs(self.score)])
        return f"{line} || {'|'.join(_pairs(self.inference))}" if self.inference else line

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Read a line that `str` wrote, or raise `AuracError` saying what it lacks."""
        score, _, inference = text.strip().partition(" || ")
        head, *pairs = score.split("|")
        if head != _HEAD:
            raise AuracError(f"{text[:60]!r} is no signature: it does not start with {_HEAD}|. Copy the whole line.")
        return cls(_read(pairs), _read(inference.split("|")) if inference else {})

    def differences(self, other: Signature) -> dict[str, tuple[str | None, str | None]]:
        """Return the keys that make two scores incomparable, each with both values; empty when they are comparable.

        Seeds and versions of the same major number may differ; the inference part moves only error bars.
        """
        keys = [*self.score, *(key for key in other.score if key not in self.score)]
        pairs = {key: (self.score.get(key), other.score.get(key)) for key in keys if key != "seeds"}
        return {
            key: (a, b) for key, (a, b) in pairs.items() if a != b and not (key == "version" and _major(a) == _major(b))
        }


def curve_signature(curve: RankAccuracyCurve, *, axis: str, rule: str, extras: Mapping[str, str]) -> dict[str, str]:
    """Return the score part for one curve; what is not known is left out, non-default `extras` come before the version."""
    task = curve.task and (f"{curve.task}@{curve.task_version}" if curve.task_version else curve.task)
    known = {
        "axis": axis,
        "rule": _SHORT.get(rule, rule),
        "ranks": "-".join(map(str, curve.ranks)),
        "metric": curve.metric,
        "task": task,
        "shots": None if curve.num_fewshot is None else str(curve.num_fewshot),
        "n": None if curve.n_documents is None else str(curve.n_documents),
        "docs": None if curve.documents is None else documents_hash(curve.documents),
        **extras,
        "version": __version__,
    }
    return {key: value for key, value in known.items() if value is not None}


def documents_hash(documents: Iterable[str]) -> str:
    """Return 8 hex digits of the sha256 over the sorted document keys: the same prompts, not just the same numbers."""
    return hashlib.sha256("\n".join(sorted(documents)).encode()).hexdigest()[:8]


def _pairs(part: Mapping[str, str]) -> list[str]:
    return [f"{quote(key, safe=_SAFE)}:{quote(value, safe=_SAFE)}" for key, value in part.items()]


def _read(pairs: Iterable[str]) -> dict[str, str]:
    read = {}
    for pair in pairs:
        key, colon, value = pair.partition(":")
        if not colon:
            raise AuracError(f"{pair!r} in the signature is not key:value. Copy the whole line.")
        read[unquote(key)] = unquote(value)
    return read


def _major(version: str | None) -> str | None:
    return version and version.split(".")[0]
