"""Whether scores may be compared: signatures from run records, curves, tables and lines, and the keys that differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from aurac.analysis.compute import compute
from aurac.errors import AuracError, CurveError, RecordError
from aurac.results import load
from aurac.signature import Signature

MEANINGS = {
    "axis": "what is integrated over",
    "rule": "integration rule",
    "ranks": "another grid of ranks is another metric",
    "params": "another grid of budgets is another metric",
    "metric": "what counts as right",
    "task": "task and its version",
    "shots": "examples in the prompt",
    "fewshot_seeds": "seeds under which the examples were drawn",
    "n": "number of documents",
    "docs": "hash over documents and prompts",
    "part": "which part of the documents was asked",
    "agg": "aggregation over runs",
    "norm": "normalisation",
    "miss": "treatment of missing documents",
    "version": "major version of aurac",
    "at": "what the ranks cost on the axis",
    "within": "part of the rank range",
    "prior": "deployment mix over ranks",
    "duplicates": "treatment of ranks that occur twice",
}
"""Key of the score part -> what a difference means."""
_LINE = re.compile(r"""\bAURAC\|[^\s`"]+(?: \|\| [^\s`"]+)?""")


@dataclass(frozen=True)
class Comparability:
    """Two sources of scores, joined on their tasks.

    Attributes:
        first: What the first source is called.
        second: What the second source is called.
        tasks: Task -> key -> value in the first and in the second; no keys: comparable.
        only_first: Tasks that the second source lacks.
        only_second: Tasks that the first source lacks.
    """

    first: str
    second: str
    tasks: Mapping[str, Mapping[str, tuple[str | None, str | None]]]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether there are common tasks, and the scores on all of them are comparable."""
        return bool(self.tasks) and not any(self.tasks.values())

    def __str__(self) -> str:
        """Print a verdict a task, and under it the keys that differ and what they mean."""
        lines = []
        for task, keys in self.tasks.items():
            lines.append(f"{task}: {'not comparable' if keys else 'comparable'}")
            for key, (a, b) in keys.items():
                meaning = f"  ({MEANINGS[key]})" if key in MEANINGS else ""
                lines.append(f"  {key}: {_shown(a)} | {_shown(b)}{meaning}")
        if not self.tasks:
            lines.append("no task in common")
        for name, tasks in ((self.first, self.only_first), (self.second, self.only_second)):
            lines += [f"{task}: only in {name}" for task in tasks]
        return "\n".join(lines)


def signatures(
    source: str, *, axis: str = "log2", rule: str = "trapezoid", task: str | None = None
) -> dict[str, Signature]:
    """Return the signatures in a source: task -> signature, "score" for one that names no task.

    Args:
        source: A signature line, long or short; a run record; a curve (.csv, .json); or any text file that holds
            signature lines, such as a table that `aurac compare` wrote.
        axis: For records and curves, which have no signature before they are integrated.
        rule: Likewise.
        task: Which task of a record; by default all.

    Raises:
        AuracError: If there is no such file, or no signature in it.
    """
    if source.startswith(("AURAC|", "A|")):
        return _by_task([Signature.parse(source)])
    path = Path(source)
    if path.is_dir():
        run = load(path)
        names = run.tasks if task is None else (task,)
        if not names:
            raise RecordError(f"run {run.name!r} has no curve. {' '.join(run.problems.values())}".strip())
        return {name: compute(run, task=name, axis=axis, rule=rule).signature for name in names}
    if path.is_file():
        return _in_file(path, axis, rule, task)
    raise AuracError(
        f"there is no {source!r}, and it is no signature. Give a run record, a curve, a file with signature lines, or "
        "a line that starts with AURAC|."
    )


def compare_signatures(
    first: tuple[str, Mapping[str, Signature]], second: tuple[str, Mapping[str, Signature]]
) -> Comparability:
    """Join two named sources on their tasks; where each has one signature, the two are compared whatever their tasks.

    Example:
        >>> a, b = (Signature({"task": "arc", "shots": k}) for k in ("25", "0"))
        >>> print(compare_signatures(("x", {"arc": a}), ("y", {"arc": b})))
        arc: not comparable
          shots: 25 | 0  (examples in the prompt)
    """
    (a_name, a), (b_name, b) = first, second
    if len(a) == len(b) == 1:
        (task_a, one), (task_b, other) = *a.items(), *b.items()
        title = task_a if task_a == task_b else f"{task_a} and {task_b}"
        return Comparability(a_name, b_name, {title: one.differences(other)}, (), ())
    common = {task: signature.differences(b[task]) for task, signature in a.items() if task in b}
    return Comparability(
        a_name, b_name, common, tuple(task for task in a if task not in b), tuple(task for task in b if task not in a)
    )


def _in_file(path: Path, axis: str, rule: str, task: str | None) -> dict[str, Signature]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise AuracError(f"{path} is not a text file. Give a curve, or a file with signature lines.") from exc
    if path.suffix.lower() in {".html", ".htm"}:
        text = unescape(re.sub("<[^>]*>", "\n", text))
    lines = _LINE.findall(text)
    if lines:
        found = _by_task([Signature.parse(line) for line in dict.fromkeys(lines)])
        return found if task is None else {name: found[name] for name in found if name == task} or found
    if path.suffix.lower() not in {".csv", ".json"}:
        raise CurveError(f"{path} holds no signature line and is no curve (.csv, .json). Give one of them.")
    score = compute(path, axis=axis, rule=rule, task=task)
    return {score.curve.task or "score": score.signature}


def _by_task(found: list[Signature]) -> dict[str, Signature]:
    named: dict[str, Signature] = {}
    for signature in found:
        task = signature.score.get("task", "score").partition("@")[0]
        name, number = task, 2
        while name in named:
            name, number = f"{task} ({number})", number + 1
        named[name] = signature
    return named


def _shown(value: str | None) -> str:
    return "–" if value is None else value
