"""AURAC of one curve, with its error and what both rest on, and how it is printed."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aurac.curve.curve import RankAccuracyCurve
from aurac.signature import Signature
from aurac.statistics.estimate import Interval


@dataclass(frozen=True, repr=False)
class AuracScore:
    """What `compute` returns.

    Attributes:
        value: AURAC on the asked axis, fraction in [0, 1] for accuracies; relative to chance where that was asked.
        value_linear: The same rule on the linear axis; None where it is refused, as "simpson" is.
        value_log2: The same rule on the log2 axis; None where it is refused.
        stderr: Standard error, over documents or what the interval's target says; None where there are no per-document
            scores or only one document.
        interval: Confidence interval; None where `stderr` is.
        weights: Rank -> weight, summing to 1.
        k_eff: 1 / sum of squared weights, the number of ranks that the score rests on.
        n_documents: Documents behind the error, None where they are not known.
        signature: The line that makes two scores comparable.
        warnings: What a reader should know, one sentence each.
        curve: The curve that was integrated.
        axis: What was integrated over.
        rule: Integration rule.
        costs: Rank -> cost that was integrated over, in the unit of the axis; None for axes of the rank.
    """

    value: float
    value_linear: float | None
    value_log2: float | None
    stderr: float | None
    interval: Interval | None
    weights: Mapping[int, float]
    k_eff: float
    n_documents: int | None
    signature: Signature
    warnings: tuple[str, ...]
    curve: RankAccuracyCurve
    axis: str
    rule: str
    costs: Mapping[int, float] | None = None

    def __float__(self) -> float:
        """Return AURAC on the asked axis."""
        return float(self.value)

    def __repr__(self) -> str:
        """Return the score in one line; `print` shows weights and accuracies too."""
        error = "" if not self.stderr else f" ± {self.stderr:.4f}"
        what = ", ".join(str(part) for part in (self.curve.name, self.curve.task, self.curve.metric) if part)
        ranks = "-".join(map(str, self.curve.ranks))
        return f"AuracScore({self.value:.4f}{error}{f', {what}' if what else ''}, {self.axis} axis, ranks {ranks})"

    def _repr_html_(self) -> str:
        """Return what `print` shows, for notebooks."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the per-document scores as a dictionary that JSON can hold."""
        return {
            "value": self.value,
            "value_linear": self.value_linear,
            "value_log2": self.value_log2,
            "stderr": self.stderr,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "axis": self.axis,
            "rule": self.rule,
            "accuracies": {str(r): float(a) for r, a in zip(self.curve.ranks, self.curve.accuracies, strict=True)},
            "weights": {str(rank): weight for rank, weight in self.weights.items()},
            **({} if self.costs is None else {"costs": {str(rank): cost for rank, cost in self.costs.items()}}),
            "k_eff": self.k_eff,
            "n_documents": self.n_documents,
            **({} if self.curve.part is None else {"part": asdict(self.curve.part)}),
            "task": self.curve.task,
            "metric": self.curve.metric,
            "higher_is_better": self.curve.higher_is_better,
            "warnings": list(self.warnings),
            "signature": str(self.signature),
        }

    def __str__(self) -> str:
        """Print the score for a terminal, accuracies in points."""
        show = _points if self.curve.bounded else _plain
        log2, linear = ("refused" if v is None else show(v) for v in (self.value_log2, self.value_linear))
        table = [("rank", "weight", self.curve.metric or "accuracy", *((self.axis,) if self.costs else ()))]
        table += [
            (str(rank), f"{weight:.4f}", show(value), *((f"{self.costs[rank]:.6g}",) if self.costs else ()))
            for (rank, weight), value in zip(self.weights.items(), self.curve.accuracies, strict=True)
        ]
        return "\n".join(
            [
                f"AURAC {show(self.value)} {self._error_text(show)}"
                + ("" if self.curve.higher_is_better else ", lower is better"),
                f"  {self.rule} rule on the {self.axis} axis (log2 {log2}, linear {linear}); "
                f"K_eff {self.k_eff:.2f} of {len(self.weights)} ranks",
                *("".join(f"  {cell:>{6 if k < 2 else 8}}" for k, cell in enumerate(row)) for row in table),
                *([] if self.curve.part is None else [f"  {self.curve.part.asked}"]),
                *(f"warning: {warning}" for warning in self.warnings),
                str(self.signature),
            ]
        )

    def _error_text(self, show: Any) -> str:
        if self.stderr is None or self.interval is None:
            return "(error unknown)"
        i = self.interval
        return (
            f"± {show(self.stderr) if self.stderr > 0 else '?'} (standard error over {self._random(i.target)}; "
            f"{i.confidence_level:.0%} {i.method} interval {show(i.low)} to {show(i.high)}, target: {i.target})"
        )

    def _random(self, target: str) -> str:
        """Say over what the error is."""
        kinds = {"docs": f"{self.n_documents} documents", "benchmark": f"{self.n_documents} documents"}
        if self.curve.seeds is not None:
            kinds["seeds"] = f"{len(self.curve.seeds.labels)} training seeds"
        if self.curve.prompts is not None:
            kinds["prompts"] = f"{len(self.curve.prompts.labels)} draws of examples"
        return " and ".join(kinds[name] for name in target.split("+"))


def _points(value: float) -> str:
    return f"{100 * value:.2f}"


def _plain(value: float) -> str:
    return f"{value:.4g}"
