"""Notes on numeric paths: which tasks of a run left the fast one, and what differs between runs that are compared."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from aurac.analysis.numeric_path import ALONE, HFLM, SHARED, Answered, NumericPath, numeric_path
from aurac.analysis.sweep_costs import lack_notes, slower_cost
from aurac.results import Run

_MOST_NAMES = 5  # of runs in one list

_WORDS = {SHARED: "shared prefixes", ALONE: "each input on its own", HFLM: "HFLM's own code"}
_PADDING = "Texts that HFLM's own code generates depend on its padding, and so on the number of requests at a time."


def path_notes(runs: Sequence[Run], tasks: Sequence[str]) -> list[str]:
    """Return what a reader has to know about the numeric paths of these runs on these tasks; mostly nothing.

    Of a single run: which tasks took a slower path, why, with which batch size, and what it cost; where memory ran out
    and where prompts were cut. Of several: in what their paths differ. What a record does not say, as imported ones do
    not, is not compared.
    """
    paths = {run.name: numeric_path(run) for run in runs}
    return _slower(runs[0], tasks) + lack_notes(runs[0], tasks) if len(runs) == 1 else _differing(paths, tasks)


def _slower(run: Run, tasks: Sequence[str]) -> list[str]:
    """Return one note for each slower path with the tasks that took it."""
    path = numeric_path(run)
    found: dict[str, list[str]] = {}
    asked: dict[str, list[str]] = {}
    for task in tasks:
        answers = path.tasks.get(task, ())
        for answered in answers:
            if answered.way != SHARED:
                mixed = answered.partly or len({a.way for a in answers}) > 1
                how = _how(answered) + (f" {_padding(answered)}" if answered.texts else "")
                names = found.setdefault(how, [])
                names += [name for name in [task + (" (some requests)" if mixed else "")] if name not in names]
                asked.setdefault(how, []).append(task)
    costs = {how: slower_cost(run, asked[how]) for how in found}
    return [" ".join([f"Slower path on {', '.join(names)}: {how}", *costs[how]]) for how, names in found.items()]


def _how(answered: Answered) -> str:
    who = _WORDS[answered.way] + ("" if answered.rows is None else f", {_at_a_time(answered.rows)}")
    return f"{answered.reason}. Answered by {who}." if answered.way == HFLM else f"{answered.reason}. Forwarded {who}."


def _padding(answered: Answered) -> str:
    size = "; the record lacks its batch size" if answered.rows is None else f" with batch size {answered.rows}"
    return f"Texts there depend on HFLM's padding{size}."


def _at_a_time(rows: int) -> str:
    return f"{rows} request{'' if rows == 1 else 's'} at a time"


def _differing(paths: Mapping[str, NumericPath], tasks: Sequence[str]) -> list[str]:
    """Return one note with everything in which the paths differ; none where they are equal or not known."""
    whole: dict[str, Callable[[NumericPath], Hashable]] = {
        "engine": lambda path: path.engine,
        "program behind the engine": lambda path: path.software,
        "dtype": lambda path: path.dtype,
        "ranks merged into the base weights": lambda path: None if path.merged is None else _yes(path.merged),
    }
    found = [_parted(what, {name: read(path) for name, path in paths.items()}) for what, read in whole.items()]
    texts = False
    for task in tasks:
        answers = {name: path.tasks[task] for name, path in paths.items() if task in path.tasks}
        kinds = {name: frozenset(a.kind for a in mine) for name, mine in answers.items()}
        words: dict[Hashable, str] = {kind: _answers(answers[name]) for name, kind in reversed(kinds.items())}
        if said := _parted(task, kinds, words):
            found.append(said)
            texts = texts or any(a.texts for mine in answers.values() for a in mine)
    if not any(found):
        return []
    note = f"The runs took different numeric paths. {'; '.join(filter(None, found))}. "
    note += "They round differently, so a small difference need not be the adapters'."
    return [f"{note} {_PADDING}" if texts else note]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _parted(what: str, values: Mapping[str, Hashable], words: Mapping[Hashable, str] | None = None) -> str | None:
    """Say which runs have which value, `what: a for x, y; b for z`; None where all known values are equal."""
    of_value: dict[Hashable, list[str]] = {}
    for name, value in values.items():
        if value is not None:
            of_value.setdefault(value, []).append(name)
    if len(of_value) < 2:
        return None
    parts = [f"{words[value] if words else value} for {_listed(names)}" for value, names in of_value.items()]
    return f"{what}: {', '.join(parts)}"


def _answers(answers: Sequence[Answered]) -> str:
    """Say how a task was answered, each way once."""
    of_kind = {answered.kind: answered for answered in reversed(answers)}
    return " and ".join(_short(answered) for answered in reversed(of_kind.values()))


def _short(answered: Answered) -> str:
    about = [answered.reason, "some requests" if answered.partly else None]
    about += [_at_a_time(answered.rows)] if answered.rows is not None else []
    inside = ", ".join(part for part in about if part)
    return _WORDS[answered.way] + (f" ({inside})" if inside else "")


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _MOST_NAMES:
        return " and ".join(names)
    return f"{' and '.join(names[: _MOST_NAMES - 1])} and {len(names) - _MOST_NAMES + 1} others"
