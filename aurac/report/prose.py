"""A "methods" paragraph for a paper: what was measured, how it was integrated and tested, with references."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aurac import __version__
from aurac.analysis.compared import MACRO, ComparedRuns
from aurac.analysis.score import AuracScore
from aurac.quadrature import axis_named, rule_named
from aurac.statistics.seeds import TARGETS

REFERENCES = {
    "MatryoshkaLoRA": "MatryoshkaLoRA. arXiv:2605.07850, 2026.",
    "Holm": "S. Holm. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics "
    "6(2), 65-70, 1979.",
    "Miller": "E. Miller. Adding error bars to evals: a statistical approach to language model evaluations. "
    "arXiv:2411.00640, 2024.",
    "Mogstad": "M. Mogstad, J. P. Romano, A. M. Shaikh, D. Wilhelm. Inference for ranks with applications to mobility "
    "across neighbourhoods and academic achievement across countries. Review of Economic Studies 91(1), 476-518, 2024.",
    "Phipson": "B. Phipson, G. K. Smyth. Permutation p-values should never be zero. Statistical Applications in "
    "Genetics and Molecular Biology 9(1), 39, 2010.",
    "Satterthwaite": "F. E. Satterthwaite. An approximate distribution of estimates of variance components. Biometrics "
    "Bulletin 2(6), 110-114, 1946.",
    "Searle": "S. R. Searle, G. Casella, C. E. McCulloch. Variance Components. Wiley, 1992.",
    "Tango": "T. Tango. Equivalence test and confidence interval for the difference in proportions for the "
    "paired-sample design. Statistics in Medicine 17(8), 891-908, 1998.",
    "Wilson": "E. B. Wilson. Probable inference, the law of succession, and statistical inference. Journal of the "
    "American Statistical Association 22(158), 209-212, 1927.",
}
"""Name in the text -> reference."""


def methods(compared: ComparedRuns) -> str:
    """Return the paragraph and the references that it cites, as plain text."""
    sentences = [*_score(compared), *_error(compared), *_tests(compared), *_limits(compared)]
    paragraph = " ".join(sentences)
    cited = [text for name, text in REFERENCES.items() if re.search(rf"\b{name}(,| et al\.,| and \w+,) \d", paragraph)]
    return "\n".join([paragraph, "", "References", *(f"- {text}" for text in cited)]) + "\n"


def _score(compared: ComparedRuns) -> list[str]:
    settings = compared.settings
    rule, axis = rule_named(settings.rule), axis_named(settings.area["axis"])
    tasks = _listed([_task(compared, task) for task in compared.tasks])
    ranks = _listed([str(rank) for rank in _first(compared).curve.ranks])
    return [
        f"We evaluated {_listed([run.name for run in compared.runs])} at the sub-ranks {ranks} on {tasks}.",
        "We report AURAC, the area under the rank-accuracy curve (MatryoshkaLoRA, 2026), integrated with "
        f"{rule.words} over {axis.words} and divided by the width of the axis.",
    ]


def _task(compared: ComparedRuns, task: str) -> str:
    curve = compared.score(compared.baseline, task).curve
    details = [curve.metric or "accuracy"]
    details += [] if curve.num_fewshot is None else [f"{curve.num_fewshot}-shot"]
    asked = None if curve.n_documents is None else f"{curve.n_documents} documents"
    asked = asked if curve.part is None else f"{curve.part} asked"
    details += [] if asked is None else [asked]
    return f"{task} ({', '.join(details)})"


def _error(compared: ComparedRuns) -> list[str]:
    scores = [compared.score(compared.baseline, task) for task in compared.tasks]
    known = [score.interval for score in scores if score.interval is not None]
    intervals = {interval.method if interval.target != "benchmark" else "part" for interval in known}
    target, pooled = compared.settings.target, _seeds(compared)
    if target == "benchmark":
        return [
            *pooled,
            "The scores are those of these adapters on exactly these documents; nothing is random in them.",
        ]
    if not intervals:
        return [*pooled, "Per-document scores were not available, so no errors are given."]
    level = f"{100 * compared.settings.confidence_level:.4g}%"
    if target == "seeds":
        return [
            *pooled,
            f"Documents are taken as fixed; errors are those of the mean over training seeds ({level} t intervals).",
        ]
    said = [
        *pooled,
        "AURAC is linear in the accuracies and therefore the mean over documents of a per-document score, so its "
        "standard error (Miller, 2024) contains the correlation between ranks, which share their documents.",
    ]
    if target in _RANDOM:
        return [*said, *_two_way(compared, level)]
    if "wilson" in intervals:
        said.append(
            f"Intervals of single scores are {level} Wilson intervals (Wilson, 1927) at the effective number of "
            "documents."
        )
    if "t" in intervals:
        said.append(f"Intervals of unbounded scores are {level} t intervals.")
    if "part" in intervals:
        said.append(
            f"Where a random part of the documents was asked, intervals are {level} t intervals of the score on the "
            "whole benchmark, with the finite population correction (Cochran, 1977)."
        )
    if compared.headline == MACRO:
        said.append(
            "The mean over tasks weights tasks equally and takes them as fixed; the variances of their documents add "
            "(degrees of freedom: Satterthwaite, 1946)."
        )
    return said


def _seeds(compared: ComparedRuns) -> list[str]:
    """Say how many trainings and draws stand behind a score; nothing where it is one of each."""
    counts = sorted({len(run.seeds) or 1 for run in compared.runs})
    trained = _listed([str(count) for count in counts], " or ")
    prompts = _first(compared).curve.prompts
    said = [] if counts == [1] else [f"Each method was trained with {trained} seeds, over which we average."]
    if prompts is not None:
        said.append(
            f"Few-shot examples were drawn {len(prompts.labels)} times (seeds {', '.join(prompts.labels)}), over which "
            "we average."
        )
    return said


_RANDOM = {
    "docs+prompts": "Documents and draws of examples are crossed, so the variance is estimated by moments from both",
    "docs+seeds": "Documents and seeds are crossed, so the variance is estimated by moments from both",
    "docs+seeds+prompts": "Documents, seeds and draws of examples are crossed, so the variance is estimated by moments "
    "from all of them",
}
"""Target -> how its variance is estimated."""


def _two_way(compared: ComparedRuns, level: str) -> list[str]:
    said = [
        f"{_RANDOM[compared.settings.target]} (Searle et al., 1992), and "
        f"intervals are {level} Wilson intervals (Wilson, 1927) with t quantiles at Satterthwaite's degrees of freedom "
        "(Satterthwaite, 1946), and t intervals for differences."
    ]
    if compared.headline == MACRO:
        why = "; since a training is scored on all tasks, its seed's share is taken from the mean over tasks"
        said.append(
            "The mean over tasks weights tasks equally and takes them as fixed"
            f"{why if 'seeds' in compared.settings.target else ''}."
        )
    return said


def _tests(compared: ComparedRuns) -> list[str]:
    if not compared.pairs:
        return []
    settings, n_runs = compared.settings, len(compared.runs)
    n_pairs = n_runs * (n_runs - 1) // 2
    said = [_which_test(compared)]
    if n_pairs > 1:
        said.append(
            f"P-values against {compared.baseline} were adjusted over the {n_runs - 1} runs compared with it on a "
            f"task, and places were derived from all {n_pairs} pairs as one family (Holm, 1979; Mogstad et al., 2024), "
            f"both at a family-wise level of {settings.alpha:g}."
        )
    else:
        said.append(f"Two runs make one test at level {settings.alpha:g}, which needs no adjustment.")
    return said


def _which_test(compared: ComparedRuns) -> str:
    if compared.settings.target == "docs+prompts":
        return (
            "Runs were compared on the documents and prompts that all of them share, under every draw; p-values are "
            "from two-sided t tests with the same error."
        )
    if compared.settings.target != "docs":
        joined = {
            "paired": "the seeds of two methods are paired by their numbers",
            "independent": "the seeds of two methods are independent",
        }.get(compared.pairing(), "seeds are paired where two methods were trained alike, else independent")
        return (
            f"Methods were compared on the documents and prompts that all of them share; {joined}; p-values are from "
            "two-sided t tests with the same error."
        )
    return (
        "Runs were compared on the documents and prompts that all of them share; differences have paired t intervals, "
        "and p-values from a two-sided test that flips the sign of a document's difference over all ranks at once "
        f"({compared.settings.n_resamples} random patterns, or all where there are fewer; Phipson and Smyth, 2010)."
        + _SCORE_TEST
        * ("score" in compared.tests_made())
    )


_SCORE_TEST = (
    " Where fewer than 10 documents differ in one direction, or a score is within 5 points of 0 or 100, both are those "
    "of the score test (Tango, 1998)."
)


def _limits(compared: ComparedRuns) -> list[str]:
    target = compared.settings.target
    return [
        "All errors refer to new documents of the same kind for these adapters; the spread between training seeds is "
        "not part of them."
        if target == "docs"
        else f"All numbers refer to {TARGETS[target].removeprefix('the method: ')}.",
        *(f"Note: {note}" for note in compared.notes),
        f"Computed with aurac {__version__}, seed {compared.settings.seed}.",
    ]


def _first(compared: ComparedRuns) -> AuracScore:
    return compared.score(compared.baseline, compared.tasks[0])


def _listed(names: Sequence[str], last: str = " and ") -> str:
    """Join as a sentence does.

    Example:
        >>> _listed(["a", "b", "c"]), _listed(["a"])
        ('a, b and c', 'a')
    """
    return f"{', '.join(names[:-1])}{last}{names[-1]}" if len(names) > 1 else names[0]
