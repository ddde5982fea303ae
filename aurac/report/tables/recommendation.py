"""A recommendation as tables, as flat records, and as everything at once."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aurac.analysis.adequacy import Adequacy, RankEvidence
from aurac.analysis.compared import MACRO
from aurac.analysis.recommended import EVERY_TASK, RecommendedRank
from aurac.curve.curve import UNITS
from aurac.report.numbers import MISSING, at_most_half, value_text, with_error
from aurac.report.table import Table, TableCell
from aurac.report.tables.cost import cost_table
from aurac.report.tables.table_cells import FULL
from aurac.statistics.seeds import TARGETS

_VERDICTS = {
    "reference": "reference",
    "certified": "adequate",
    "failed": "not certified",
    "not tested": "not tested",
}


def tables(made: RecommendedRank) -> list[Table]:
    """Return the answer for each task, the evidence at each rank, and what each rank costs where that is known."""
    evidence = [_evidence(made, task, test) for task, test in made.tests.items()]
    return [_answer(made), *evidence, *cost_tables(made)]


def records(made: RecommendedRank) -> list[dict[str, Any]]:
    """Return one flat dictionary for each task and rank, fractions, None where something is not known."""
    return [_record(made, task, test, e) for task, test in made.tests.items() for e in test.evidence]


def _record(made: RecommendedRank, task: str, test: Adequacy, e: RankEvidence) -> dict[str, Any]:
    reference, cost = e.p_value is None, made.cost_at(e.rank)
    return {
        "run": made.run.name,
        "task": task,
        "rank": e.rank,
        "share": e.rank / made.max_rank,
        "parameters": cost.parameters,
        "bytes": cost.bytes,
        "prefill_seconds": None if cost.unmerged is None else cost.unmerged.prefill_seconds,
        "decode_seconds": None if cost.unmerged is None else cost.unmerged.decode_seconds,
        "n_documents": test.n_documents,
        "accuracy": e.accuracy,
        "loss": e.loss,
        "loss_stderr": None if reference else e.stderr,
        "loss_upper": None if reference else e.upper,
        "p_value": e.p_value,
        "deviating": e.deviating,
        "detectable": None if reference else e.detectable,
        "status": e.status,
        "margin": made.margin,
        "alpha": made.alpha,
        "target": test.target,
        "n_seeds": test.n_seeds,
    }


def content(made: RecommendedRank) -> dict[str, Any]:
    """Return the answer, the evidence and the costs, fractions."""
    return {
        "run": made.run.name,
        "rank": made.rank,
        **({} if made.unit == "rank" else {"unit": made.unit}),
        "basis": made.basis,
        "every_task": made.every_task,
        "max_rank": made.max_rank,
        "parameters": made.parameters,
        "bytes": made.n_bytes,
        "share": made.rank / made.max_rank,
        "margin": made.margin,
        "alpha": made.alpha,
        "tasks": {task: _json_test(made, test) for task, test in made.tests.items()},
        "costs": [_json_cost(made, rank) for rank in made.tested_ranks],
        "notes": [*_sentences(made), *made.notes],
    }


def _json_test(made: RecommendedRank, test: Adequacy) -> dict[str, object]:
    evidence = [{**asdict(e), "share": e.rank / made.max_rank} for e in test.evidence]
    about = {"rank": test.rank, "max_rank": test.max_rank, "n_documents": test.n_documents}
    return {**about, "target": test.target, "n_seeds": test.n_seeds, "passages": test.n_clusters, "evidence": evidence}


def _json_cost(made: RecommendedRank, rank: int) -> dict[str, object]:
    """Return the costs of a rank; the single repeats of the times stay in `profile.json`."""
    line = asdict(made.cost_at(rank))
    for mode in ("unmerged", "merged"):
        if line[mode] is not None:
            line[mode] = {key: value for key, value in line[mode].items() if not key.startswith("all_")}
    return line


def _answer(made: RecommendedRank) -> Table:
    rows: list[tuple[TableCell, ...]] = []
    for task, test in made.tests.items():
        unit = _unit(test)
        found = next(e for e in test.evidence if e.rank == test.rank)
        stopped = _stopped(test)
        rows.append(
            (
                TableCell(task, bold=task == made.basis),
                TableCell(_number(made, test.rank), bold=task == made.basis),
                TableCell(_share(made, test.rank)),
                TableCell(_loss(found, unit)),
                TableCell(MISSING if found.p_value is None else value_text(found.upper, found.stderr, unit=unit)),
                TableCell(at_most_half(found.p_value)),
                TableCell(
                    MISSING if stopped is None else f"{_number(made, stopped.rank)} (p {at_most_half(stopped.p_value)})"
                ),
                TableCell(MISSING if stopped is None else value_text(stopped.detectable, stopped.stderr, unit=unit)),
            )
        )
    if sum(task != MACRO for task in made.tests) > 1:
        rank, bold = made.every_task, made.basis == EVERY_TASK
        blank = [TableCell(MISSING)] * 5
        rows.append(
            (
                TableCell(EVERY_TASK, bold=bold),
                TableCell(_number(made, rank), bold=bold),
                TableCell(_share(made, rank)),
                *blank,
            )
        )
    return Table(
        title=f"{made.run.name}: recommended {_point(made, made.rank)} of {_number(made, made.max_rank)} "
        f"({_margin(made)})",
        columns=("task", _noun(made), "size", "loss ± SE", "loss at most", "p", "not certified", "MDE"),
        least=("MDE", "size"),
        rows=tuple(rows),
        notes=(*_sentences(made), *_explanations(made), *made.notes),
    )


def _evidence(made: RecommendedRank, task: str, test: Adequacy) -> Table:
    unit = _unit(test)
    digits = min((e.stderr for e in test.evidence if e.stderr > 0), default=None)
    rows = []
    for e in test.evidence:
        reference = e.p_value is None
        rows.append(
            (
                TableCell(_number(made, e.rank), bold=e.rank == test.rank),
                TableCell(_share(made, e.rank)),
                TableCell(value_text(e.accuracy, digits, unit=unit)),
                TableCell(_loss(e, unit)),
                TableCell(MISSING if reference else value_text(e.upper, digits, unit=unit)),
                TableCell(at_most_half(e.p_value)),
                TableCell(MISSING if reference else value_text(e.detectable, digits, unit=unit)),
                TableCell(str(e.deviating)),
                TableCell(_VERDICTS[e.status], bold=e.rank == test.rank),
            )
        )
    return Table(
        title=f"{task}: evidence from {_full(made)} down, {test.n_documents} documents",
        columns=(
            *(_noun(made), "size", "score", "loss ± SE"),
            *("loss at most", "p", "MDE", "differ", "verdict"),
        ),
        least=("differ", "MDE", "size", "p"),
        rows=tuple(rows),
    )


def cost_tables(made: RecommendedRank) -> list[Table]:
    """Return the table of costs; none where neither the weights are at hand nor times were measured."""
    lines = [made.cost_at(rank) for rank in made.tested_ranks]
    if made.unit != "rank" or all(line.parameters is None for line in lines):  # a budget is its own cost
        return []
    title = f"{made.run.name}: cost of each {_noun(made)}"
    return [cost_table(lines, title=title, best=made.rank, profile=made.profile)]


def _sentences(made: RecommendedRank) -> list[str]:
    """Say the answer in words: what is certified, what is not, and what the documents could have shown."""
    size = f"{_share(made, made.rank)} of the adapter's parameters"
    if made.basis == EVERY_TASK:
        return [
            f"{_point(made, made.rank).capitalize()} ({size}) is adequate on every task by itself; they have no common "
            "mean."
        ]
    test, what = made.tests[made.basis], "the mean over tasks" if made.basis == MACRO else made.basis
    noun = _noun(made)
    unit, points = _unit(test), " points" if test.bounded else ""
    margin = f"{made.margin * unit:.2f}{points}"
    if len(test.evidence) == 1:
        return [f"Only {_point(made, test.rank)} was measured on {what}, so there is no smaller {noun} to recommend."]
    if test.rank == test.max_rank:
        said = [
            f"No {noun} below {_number(made, test.max_rank)} is certified to lose less than {margin} on {what}: serve "
            f"{_full(made)}."
        ]
    else:
        found = next(e for e in test.evidence if e.rank == test.rank)
        said = [
            f"{_point(made, test.rank).capitalize()} ({size}) loses less than {margin} to "
            f"{_point(made, test.max_rank)} on {what} (p {_equals(found.p_value)}), and so does every larger {noun} "
            "measured."
        ]
    if (stopped := _stopped(test)) is not None:
        reach = value_text(stopped.detectable, stopped.stderr, unit=unit)
        said.append(
            f"{_point(made, stopped.rank).capitalize()} could not be certified (p {_equals(stopped.p_value)}); that "
            f"is no proof that it is worse. On these {test.n_documents} documents a {noun} that loses nothing is "
            f"certified with 80 % power for a margin of {reach}{points} (MDE) or more."
        )
    if few := [
        _number(made, e.rank) for e in test.evidence if e.status in {"certified", "failed"} and e.deviating < 10
    ]:
        said.append(
            f"At {noun} {', '.join(few)} fewer than 10 documents differ from {_full(made)}: the level of the test "
            "there is anything from 0 to 7 %, not exactly the one asked for."
        )
    return said


def _explanations(made: RecommendedRank) -> list[str]:
    said = [
        f"Fixed-sequence non-inferiority (Maurer, Hothorn and Lehmacher 1995): {_noun(made)}s are tested from "
        f"{_full(made)} down at level {made.alpha:g} until the first that fails, so each row names an inadequate "
        f"{_noun(made)} with a probability of at most {made.alpha:g}. Loss: {_full(made)} minus this {_noun(made)}, "
        f"paired over documents; at most: its one-sided {1 - made.alpha:.0%} bound. {_target(made)} Size: share of the "
        "adapter's parameters."
    ]
    if passages := sum(test.n_clusters or 0 for task, test in made.tests.items() if task != MACRO):
        said.append(f"Documents that share a passage count together: {passages} passages.")
    if any(e.p_value is not None and e.stderr == 0 for test in made.tests.values() for e in test.evidence):
        said.append("± ?: all documents lose the same; what their number leaves open is in at most, p and MDE.")
    measured = max(test.max_rank for test in made.tests.values())
    if measured < made.max_rank:
        said.append(
            f"The reference is {_point(made, measured)}, the largest that was measured, not "
            f"{_number(made, made.max_rank)}."
        )
    return said


def _target(made: RecommendedRank) -> str:
    """Say what is random."""
    tests = list(made.tests.values())
    targets = {test.target for test in tests}
    target = targets.pop() if len(targets) == 1 else "docs"
    if "seeds" not in target:
        return f"Target: {target} ({TARGETS[target].replace('this set of adapters', 'this adapter')})."
    n_seeds = min(test.n_seeds for test in tests)
    few = " Two seeds leave one or two degrees of freedom, and the bounds are as wide." if n_seeds == 2 else ""
    return (
        f"Target: {target} ({TARGETS[target]}), from {n_seeds} trainings: the rank to serve for the next one, "
        f"whose own loss spreads around this mean.{few}"
    )


def _stopped(test: Adequacy) -> RankEvidence | None:
    return next((e for e in test.evidence if e.status == "failed"), None)


def _loss(e: RankEvidence, unit: float) -> str:
    if e.p_value is None:
        return MISSING
    return with_error(e.loss, e.stderr, unit=unit, sign=True)


def _noun(made: RecommendedRank) -> str:
    return UNITS[made.unit]


def _number(made: RecommendedRank, rank: int) -> str:
    return str(rank) if made.unit == "rank" else f"{rank:,}"


def _point(made: RecommendedRank, rank: int) -> str:
    return f"{_noun(made)} {_number(made, rank)}"


def _full(made: RecommendedRank) -> str:
    """Return what the largest point is called."""
    return FULL[_noun(made)]


def _share(made: RecommendedRank, rank: int) -> str:
    return f"{100 * rank / made.max_rank:.3g} %"


def _margin(made: RecommendedRank) -> str:
    bounded = all(test.bounded for test in made.tests.values())
    return f"margin {made.margin * 100:.2f} points" if bounded else f"margin {made.margin:g}"


def _unit(test: Adequacy) -> float:
    return 100.0 if test.bounded else 1.0


def _equals(p: float | None) -> str:
    text = at_most_half(p)
    return text if text.startswith(("<", "≥")) else f"= {text}"
