"""The line under a score that says how it was made, so that two scores can be compared or told apart.

`AURAC|axis:log2|rule:trap|ranks:1-2-4|metric:acc|task:arc@1|shots:25|n:1172|docs:3f9c2a71|...|version:0.1.0` names
every argument that can move the number; ` || ` starts the part that moves only the error bars. The idea is sacreBLEU's
(Post 2018, arXiv 1804.08771); the parser and the comparison are added here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from aurac import __version__
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import AuracError
from aurac.quadrature import rule_named

_HEAD, _SHORT_HEAD = "AURAC", "A"
_SPECIAL = re.compile(r"[%|:\s\x00-\x1f\x7f-\x9f]")
_ALIASES = {
    "axis": "ax",
    "rule": "ru",
    "ranks": "r",
    "params": "p",
    "metric": "m",
    "task": "t",
    "shots": "k",
    "docs": "d",
    "seeds": "s",
    "version": "v",
    "target": "tg",
    "test": "te",
}
_COMPARED = ("seeds", "inference")
"""Keys that say what is compared, not how it was measured."""
_KEYS = {alias: key for key, alias in _ALIASES.items()}


@dataclass(frozen=True)
class Signature:
    """Keys and values of the score part and of the inference part, in the order in which they are printed.

    Example:
        >>> a = Signature({"axis": "log2", "version": "0.1.0"}, {"ci": "t95"})
        >>> str(a), a.short()
        ('AURAC|axis:log2|version:0.1.0 || ci:t95', 'A|ax:log2|v:0.1.0 || ci:t95')
        >>> Signature.parse(str(a)) == Signature.parse(a.short()) == a
        True
        >>> a.differences(Signature({"axis": "linear", "version": "0.1.7"}))
        {'axis': ('log2', 'linear')}
    """

    score: Mapping[str, str]
    inference: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Print both parts on one line; `%`, `|`, `:`, spaces and control characters of a value become %XX."""
        return _line(_HEAD, self.score, self.inference)

    def short(self) -> str:
        """Print the line with abbreviated keys, for narrow tables; `parse` reads both."""
        return _line(_SHORT_HEAD, _shorten(self.score), _shorten(self.inference))

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Read a line that `str` or `short` wrote, or raise `AuracError` saying what it lacks.

        A line that a terminal folded is understood: values hold no spaces.
        """
        score, _, inference = re.sub(r"\s+", "", text).partition("||")
        head, *pairs = score.split("|")
        if head not in (_HEAD, _SHORT_HEAD):
            raise AuracError(f"{text[:60]!r} is no signature: it does not start with {_HEAD}|. Copy the whole line.")
        names = _KEYS if head == _SHORT_HEAD else {}
        return cls(_read(pairs, names), _read(inference.split("|"), names) if inference else {})

    def differences(self, other: Signature) -> dict[str, tuple[str | None, str | None]]:
        """Return the keys that make two scores incomparable, each with both values; empty when they are comparable.

        Seeds, the adapters' inference rules and versions of the same major number may differ, and the inference part
        moves only error bars.
        """
        keys = [*self.score, *(key for key in other.score if key not in self.score)]
        pairs = {key: (self.score.get(key), other.score.get(key)) for key in keys if key not in _COMPARED}
        return {
            key: (a, b) for key, (a, b) in pairs.items() if a != b and not (key == "version" and _major(a) == _major(b))
        }


def curve_signature(
    curve: RankAccuracyCurve, *, axis: str, rule: str, extras: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the score part for one curve.

    Points that are budgets of parameters stand under the key `params` instead of `ranks`. What the curve does not know
    (metric, task, shots, documents) is left out. `extras` are arguments that are not at their defaults; they come
    before the version, so that lines without them stay what they were.
    """
    known = {
        "axis": axis,
        "rule": rule_named(rule).short,
        "ranks" if curve.unit == "rank" else "params": "-".join(map(str, curve.ranks)),
        "metric": curve.metric,
        "task": f"{curve.task}@{curve.task_version}" if curve.task and curve.task_version else curve.task,
        "shots": None if curve.num_fewshot is None else str(curve.num_fewshot),
        "fewshot_seeds": None if curve.prompts is None else "-".join(curve.prompts.labels),
        "n": None if curve.n_documents is None else str(curve.n_documents),
        "docs": None if curve.documents is None else documents_hash(curve.documents),
        "part": None if curve.part is None else curve.part.signed(),
        "inference": curve.inference,
        "max_length": None if curve.max_length is None else str(curve.max_length),
        "seeds": "1" if curve.seeds is None else str(len(curve.seeds.labels)),
        "agg": "none",
        "norm": "none",
        "miss": "error",
        **(extras or {}),
        "version": __version__,
    }
    return {key: value for key, value in known.items() if value is not None}


def documents_hash(documents: Iterable[str]) -> str:
    """Return 8 hex digits of the sha256 over the sorted document keys: the same prompts, not just the same numbers."""
    return hashlib.sha256("\n".join(sorted(documents)).encode()).hexdigest()[:8]


def _line(head: str, score: Mapping[str, str], inference: Mapping[str, str]) -> str:
    line = "|".join([head, *_pairs(score)])
    return f"{line} || {'|'.join(_pairs(inference))}" if inference else line


def _shorten(part: Mapping[str, str]) -> dict[str, str]:
    return {_ALIASES.get(key, key): value for key, value in part.items()}


def _pairs(part: Mapping[str, str]) -> list[str]:
    return [f"{_escape(key)}:{_escape(value)}" for key, value in part.items()]


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda match: quote(match[0]), text)


def _read(pairs: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    read = {}
    for pair in pairs:
        key, colon, value = pair.partition(":")
        if not colon:
            raise AuracError(f"{pair!r} in the signature is not key:value. Copy the whole line.")
        name = unquote(key)
        read[names.get(name, name)] = unquote(value)
    return read


def _major(version: str | None) -> str | None:
    return version and version.split(".")[0]
