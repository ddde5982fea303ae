"""What stands under the tables of a comparison: what is random, which test, how large a family, what it can show."""

from __future__ import annotations

from aurac.analysis.grouping import sorted_labels
from aurac.report.comparison import Comparison
from aurac.report.numbers import value_text
from aurac.report.tables.cells import detectable, pairing, score_of, signature_lines, unit
from aurac.results import Run
from aurac.statistics.cautions import FLAT
from aurac.statistics.seeds import TARGETS


def footnotes(comparison: Comparison) -> tuple[str, ...]:
    """Return the notes in the order in which a reader meets what they explain, the signatures last."""
    cautions: list[str] = []
    if len(comparison.runs) == 1:
        scores = {task: score_of(comparison, comparison.baseline, task) for task in comparison.tasks}
        cautions = [
            f"{task}: {text}" for task, score in scores.items() for text in score.warnings if text != FLAT
        ]  # a note says that
    return (
        *comparison.notes,
        f"Values in points where they are fractions. {_about_errors(comparison)} linear: the same score on the linear "
        "axis.",
        *_about_seeds(comparison),
        *_about_tests(comparison),
        *(note for run in comparison.runs if (note := _adapter_note(run))),
        *cautions,
        *(line for task in comparison.tasks for line in signature_lines(comparison, task)),
    )


_ERRORS = {
    "docs": "standard error over documents",
    "docs+seeds": "standard error over documents and training seeds (two-way)",
    "seeds": "standard error over training seeds",
    "benchmark": "none, and therefore no tests",
}
"""Target -> what the error is, under a table."""


def _about_errors(comparison: Comparison) -> str:
    target = comparison.settings.target
    about = TARGETS[target]
    if target == "docs" and not any(run.seeds for run in comparison.runs):
        about = "this adapter, new documents of this kind"
    limits = "; seeds of the training are not part of it" if target == "docs" else ""
    return f"Error: {_ERRORS[target]}. Target: {target} ({about}){limits}."


def _about_seeds(comparison: Comparison) -> list[str]:
    """Say which seeds stand behind each method."""
    labels = {run.name: ", ".join(sorted_labels(run.seeds)) for run in comparison.runs if run.seeds}
    if not labels:
        return []
    if len(set(labels.values())) == 1 and len(labels) == len(comparison.runs):
        return [f"Means over the training seeds {next(iter(labels.values()))}, the same for each method."]
    return [f"Means over training seeds: {'; '.join(f'{name}: {seeds}' for name, seeds in labels.items())}."]


def _about_tests(comparison: Comparison) -> list[str]:
    if not comparison.pairs:
        return []
    settings, headline = comparison.settings, comparison.headline
    family = len(comparison.runs) - 1
    n_pairs = len(next(iter(comparison.pairs.values())).differences)
    patterns = f" ({settings.n_resamples} patterns, or all)" if settings.target == "docs" else ""
    said = []
    if headline in comparison.pairs:
        said.append(
            f"place: by {headline}; runs are tied that the tests of all pairs do not tell apart at level "
            f"{settings.alpha:g} ({_test(comparison)}, Holm, family of {n_pairs}). Bold: no run is "
            "significantly better. Raised letters: the runs that are significantly worse."
        )
    said.append(
        f"Δ: paired difference to {comparison.baseline} on common documents. p: two-sided {_test(comparison)}"
        f"{patterns}, Holm, family of {family} on each task. wins/ties/losses: "
        "documents on which the run's AURAC is higher, equal, lower."
    )
    if (found := _detectable(comparison)) is not None:
        said.append(found)
    return said


def _test(comparison: Comparison) -> str:
    if comparison.settings.target == "docs":
        return "sign-flip of whole documents"
    joined = pairing(comparison)
    how = "paired where two methods were trained alike" if joined == "mixed" else joined
    return f"t test at Satterthwaite's df, seeds {how}"


def _detectable(comparison: Comparison) -> str | None:
    """Say which true differences on the headline the measurements could have shown."""
    headline = comparison.headline
    differences = [r.difference for (_, task), r in comparison.results.items() if task == headline and r.difference]
    effects = sorted((e, d.stderr) for d in differences if (e := detectable(comparison, d)) is not None)
    if not effects:
        return None
    factor = unit(comparison, headline)
    ends = [value_text(effect, stderr, unit=factor) for effect, stderr in (effects[0], effects[-1])]
    return (
        f"MDE: a true difference to {comparison.baseline} of {' to '.join(dict.fromkeys(ends))}"
        f"{' points' if factor == 100 else ''} on {headline} is found with 80% power before the adjustment, at level "
        f"{comparison.settings.alpha:g}; smaller ones are mostly missed."
    )


def _adapter_note(run: Run) -> str | None:
    """Say how the sub-ranks of an adapter of another maker were scaled."""
    adapter = run.record.get("identity", {}).get("adapter", {})
    if adapter.get("sidecar", True):
        return None
    return (
        f"{run.name}: no sidecar, so it was scored as prefixes of a plain LoRA, whose factor before B A stays what it "
        f"is at full rank (scaling one, gain {adapter.get('gain'):g})."
    )
