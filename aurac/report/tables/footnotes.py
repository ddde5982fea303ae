"""What stands under the tables of a comparison: what is random, which test, how large a family, what it can show."""

from __future__ import annotations

from aurac.analysis.compared import ComparedRuns
from aurac.analysis.grouping import sorted_labels
from aurac.analysis.settings import Settings
from aurac.analysis.spent import any_known, training_tokens
from aurac.quadrature import axis_named
from aurac.report.numbers import count_text, value_text
from aurac.report.tables.table_cells import point_noun, unit
from aurac.results import Run
from aurac.statistics.cautions import FLAT
from aurac.statistics.seeds import TARGETS


def footnotes(compared: ComparedRuns) -> tuple[str, ...]:
    """Return the notes in the order in which a reader meets what they explain, the signatures last."""
    cautions: list[str] = []
    if len(compared.runs) == 1:
        scores = {task: compared.score(compared.baseline, task) for task in compared.tasks}
        cautions = [
            f"{task}: {text}" for task, score in scores.items() for text in score.warnings if text != FLAT
        ]  # a note says that
    return (
        *compared.notes,
        f"Values in points where they are fractions. {_about_errors(compared)} linear: the same score on the linear "
        "axis.",
        *about_axis(compared),
        *_about_seeds(compared),
        *_about_draws(compared),
        *_about_training(compared),
        *_about_tests(compared),
        *(note for run in compared.runs if (note := _adapter_note(run))),
        *cautions,
        *(line for task in compared.tasks for line in compared.signature_lines(task)),
    )


_ERRORS = {
    "docs": "standard error over documents",
    "docs+prompts": "standard error over documents and draws of few-shot examples (two-way)",
    "docs+seeds": "standard error over documents and training seeds (two-way)",
    "docs+seeds+prompts": "standard error over documents, training seeds and draws of few-shot examples",
    "seeds": "standard error over training seeds",
    "benchmark": "none, and therefore no tests",
}
"""Target -> what the error is, under a table."""


def _about_errors(compared: ComparedRuns) -> str:
    target = compared.settings.target
    about = TARGETS[target]
    if target.startswith("docs") and not any(run.seeds for run in compared.runs):
        about = about.replace("this set of adapters", "this adapter")
    out = [] if "seeds" in target or target == "benchmark" else ["seeds of the training"]
    out += [] if "prompts" in target or not _draws(compared) else ["draws of the few-shot examples"]
    limits = f"; {' and '.join(out)} are not part of it" if out else ""
    scores = [compared.score(run.name, task) for run in compared.runs for task in compared.tasks]
    of_part = [score for score in scores if score.interval is not None and score.interval.target == "benchmark"]
    if target == "benchmark" and of_part:
        return "Error: what the documents that were not asked leave open. Target: benchmark (the score on all of them)."
    but = " Where a part was asked: the score on all documents of the task (benchmark)." if of_part else ""
    return f"Error: {_ERRORS[target]}. Target: {target} ({about}){limits}.{but}"


def about_axis(compared: ComparedRuns) -> list[str]:
    """Say what was integrated over, unless it is the default."""
    axis = axis_named(compared.settings.area["axis"])
    said = [] if axis.name == Settings().axis else [f"AURAC is the area over {axis.words} (axis {axis.name})."]
    return [*about_budgets(compared), *said]


def about_budgets(compared: ComparedRuns) -> list[str]:
    """Say what the points of curves over parameters are; nothing for ranks."""
    if point_noun(compared) == "rank":
        return []
    how: dict[str, list[str]] = {}
    for run in compared.runs:
        adapter = (run.seeds or (run,))[0].record.get("identity", {}).get("adapter", {})
        how.setdefault(str(adapter.get("allocate", "uniform")), []).append(run.name)
    shared = "; ".join(f"{rule}: {', '.join(names)}" for rule, names in how.items())
    return [
        "Points are budgets, numbers of parameters that an adapter may have; what the axes call a rank is a budget "
        f"here. They are shared out over the layers by the rule in the adapter's folder ({shared})."
    ]


def _about_seeds(compared: ComparedRuns) -> list[str]:
    """Say which seeds stand behind each method."""
    labels = {run.name: ", ".join(sorted_labels(run.seeds)) for run in compared.runs if run.seeds}
    if not labels:
        return []
    if len(set(labels.values())) == 1 and len(labels) == len(compared.runs):
        return [f"Means over the training seeds {next(iter(labels.values()))}, the same for each method."]
    return [f"Means over training seeds: {'; '.join(f'{name}: {seeds}' for name, seeds in labels.items())}."]


def _draws(compared: ComparedRuns) -> tuple[str, ...]:
    """Return the seeds of the draws of few-shot examples, none where there was one draw."""
    curves = [compared.score(run.name, task).curve for run in compared.runs for task in compared.tasks]
    return next((curve.prompts.labels for curve in curves if curve.prompts is not None), ())


def _about_draws(compared: ComparedRuns) -> list[str]:
    """Say under which draws of few-shot examples every document was asked."""
    labels = _draws(compared)
    return [f"Means over {len(labels)} draws of few-shot examples (seeds {', '.join(labels)})."] if labels else []


def _about_training(compared: ComparedRuns) -> list[str]:
    """Say what the training took; nothing where no record knows."""
    if not any_known(compared.runs):
        return []
    if len(compared.runs) == 1:
        return [f"The training read {count_text(training_tokens(compared.runs[0]))} tokens."]
    mean = ", mean over the seeds" if any(run.seeds for run in compared.runs) else ""
    return [
        f"training tokens: what was read to train the curve{mean}; of a grid all its ranks, of a rotated adapter what "
        "it was made from, of a squeezed one the first training and all further steps."
    ]


def _about_tests(compared: ComparedRuns) -> list[str]:
    if not compared.pairs:
        return []
    settings, headline = compared.settings, compared.headline
    together = len(compared.tasks) if settings.family == "all" else 1
    family = (len(compared.runs) - 1) * together
    n_pairs = len(next(iter(compared.pairs.values())).differences)
    over = "on each task" if together == 1 else f"over {together} tasks, the mean over them by itself"
    patterns = f" ({settings.n_resamples} patterns, or all)" if settings.target == "docs" else ""
    if not compared.tests_made():
        return [f"Δ: paired difference to {compared.baseline} on common documents, without a test."]
    said = []
    if headline in compared.pairs:
        said.append(
            f"place: by {headline}; runs are tied that the tests of all pairs do not tell apart at level "
            f"{settings.alpha:g} (Holm, family of {n_pairs}). Bold: no run is "
            "significantly better. Raised letters: the runs that are significantly worse."
        )
    said.append(
        f"Δ: paired difference to {compared.baseline} on common documents. p: two-sided {_test(compared)}"
        f"{patterns}, Holm, family of {family} {over}; where it is above the level, the interval holds 0. "
        "wins/ties/losses: "
        "documents on which the run's AURAC is better, equal, worse."
    )
    if (found := _detectable(compared)) is not None:
        said.append(found)
    return said


_TESTS = {
    "sign-flip": "sign-flip of whole documents",
    "score": "score test, where fewer than 10 documents differ in one direction or a score is within 5 points of an "
    "end",
}
"""Test of a difference on documents -> its words; the first is the usual one."""


def _test(compared: ComparedRuns) -> str:
    if compared.settings.target == "docs":
        return " or ".join(_TESTS[name] for name in compared.tests_made())
    if "seeds" not in compared.settings.target:
        return "t test at Satterthwaite's df, paired on the same prompts"
    joined = compared.pairing()
    how = "paired where two methods were trained alike" if joined == "mixed" else joined
    return f"t test at Satterthwaite's df, seeds {how}"


def _detectable(compared: ComparedRuns) -> str | None:
    """Say which true differences on the headline the measurements could have shown."""
    headline = compared.headline
    differences = [r.difference for (_, task), r in compared.results.items() if task == headline and r.difference]
    effects = sorted((e, d.stderr) for d in differences if (e := compared.detectable(d)) is not None)
    if not effects:
        return None
    factor = unit(compared, headline)
    ends = [value_text(effect, stderr, unit=factor) for effect, stderr in (effects[0], effects[-1])]
    return (
        f"MDE: a true difference to {compared.baseline} of {' to '.join(dict.fromkeys(ends))}"
        f"{' points' if factor == 100 else ''} on {headline} is found with 80% power before the adjustment, at level "
        f"{compared.settings.alpha:g}; smaller ones are mostly missed."
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
