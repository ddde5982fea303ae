"""Runs of the same method with other training seeds, as one method: which belong together, and what it is called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError
from aurac.results import Run
from aurac.statistics.alignment import align
from aurac.statistics.factors import widest_target
from aurac.statistics.refused import check_name
from aurac.statistics.seeds import TARGETS

_EACH_RANK = "sha256_of_rank"
"""Key that adapters have which were trained one by one for every rank."""
BY = ("run", "method")
"""What a row of a comparison is: a run, or a method with all its training seeds."""
_START = "training_start"
"""Key of adapters whose training began with another adapter."""
_OF_A_TRAINING = {"path", "sha256", "seed", _EACH_RANK, _START}
"""Keys of an adapter's identity that another seed changes."""
_OF_A_MEASUREMENT = (
    "dtype",
    "max_length",
    "tokenizer_sha256",
    "chat_template_sha256",
    "system_instruction",
    "fewshot_as_multiturn",
)
"""Keys of a run's identity that change what an adapter is used for."""
_SAID_ALONE = ("inference", "scaling", "allocate")
"""Keys whose values say enough in a name."""
_GRADUAL = "training_gradual"
"""Key of adapters that were squeezed one from the other; it says enough itself."""
_HASH = re.compile(r"[0-9a-f]{32,}")


def by_method(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return name -> runs whose adapters differ in their training seed alone, in the order of the runs.

    A method that occurs with several settings is told apart by the settings that differ ("matryoshka-trained").

    Raises:
        ComparisonError: If two runs have the same method, settings and seed.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(_settings(run), []).append(run)
    for members in groups.values():
        _check_seeds(members)
    return {_name(settings, list(groups)): members for settings, members in groups.items()}


def check_target(members: Mapping[str, Sequence[Run]], by: str, target: str | None) -> str:
    """Return the target of a comparison, or raise `ComparisonError` where too few seeds or draws are there for it.

    By default everything is random that the runs know several of; of methods the seeds in any case.
    """
    several = draws_known([run for group in members.values() for run in group])
    own = "+".join(["docs", *["seeds"] * (by == "method"), *["prompts"] * several])
    target = check_name("target", target or own, TARGETS)
    if "prompts" in target and not several:
        raise ComparisonError(
            f"target {target!r} is about newly drawn few-shot examples, and runs were scored with one draw. Score all "
            "with several (--fewshot-seeds 1,2,3), or ask about these examples (--target "
            f"{target.removesuffix('+prompts')})."
        )
    single = [name for name, group in members.items() if len(group) < 2]
    if "seeds" not in target or not single:
        return target
    if by == "run":
        raise ComparisonError(
            f"target {target!r} is about methods, and these are single runs. Compare them by method (--by method)."
        )
    raise ComparisonError(
        f"{', '.join(single)}: one training seed, which shows no spread between seeds. Train and score at least 2 of "
        "each method, or ask about these adapters alone (--target docs)."
    )


def draws_known(runs: Sequence[Run]) -> bool:
    """Tell whether every run was scored under several draws of few-shot examples."""
    return all(widest_target(list(run.curves.values())).endswith("prompts") for run in runs)


def methods_target(members: Mapping[str, Sequence[Run]]) -> str:
    """Return a target with seeds where every method has several, else one without; with draws of examples likewise."""
    several = min(map(len, members.values())) > 1
    return check_target(members, "method" if several else "run", None)


def seed_labels(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the training seed of each run, or its name where the record has no seed or two have the same."""
    seeds = [_adapter(run).get("seed") for run in runs]
    known = None not in seeds and len(set(seeds)) == len(seeds) and all(_adapter(r).get("sidecar", True) for r in runs)
    return tuple(str(seed) for seed in seeds) if known else tuple(run.name for run in runs)


def sorted_labels(runs: Sequence[Run]) -> list[str]:
    """Return the labels in the order in which `pool` has the seeds."""
    return sorted(seed_labels(runs), key=_numeric)


def _numeric(label: str) -> tuple[int, str]:
    return len(label), label


def pool(name: str, runs: Sequence[Run], curves: Sequence[RankAccuracyCurve]) -> RankAccuracyCurve:
    """Return the curve of a method from those of its runs; the seeds in the order of their labels.

    Runs that could not be joined with all others are joined with each other here, or only their mean is kept.
    """
    order = sorted(zip(seed_labels(runs), curves, strict=True), key=lambda pair: _numeric(pair[0]))
    adapter = _adapter(runs[0])
    unit = "rank" if _EACH_RANK in adapter and _START not in adapter else "run"  # squeezed ones share a training
    labels, sorted_curves = [label for label, _ in order], [curve for _, curve in order]
    if len(runs) > 1:
        try:
            sorted_curves = align(sorted_curves, missing="drop")
        except ComparisonError:
            check_same_ranks(name, sorted_curves)
            sorted_curves = [curve.without_documents() for curve in sorted_curves]
    return RankAccuracyCurve.from_seeds(sorted_curves, labels, unit=unit, name=name)


def check_same_ranks(name: str, curves: Sequence[RankAccuracyCurve]) -> None:
    """Raise `ComparisonError` where the runs of a method were scored at different ranks."""
    grids = {curve.ranks for curve in curves}
    if len(grids) > 1:
        listed = " and ".join("-".join(map(str, ranks)) for ranks in sorted(grids))
        raise ComparisonError(f"the runs of {name} were scored at the ranks {listed}. Score all at the same ranks.")


def as_run(name: str, runs: Sequence[Run], curves: Mapping[str, RankAccuracyCurve]) -> Run:
    """Return the method as a run of its mean curves."""
    if len(runs) == 1:
        return replace(runs[0], name=name)
    return Run(name, None, runs[0].record, curves, seeds=tuple(runs))


def _adapter(run: Run) -> Mapping[str, Any]:
    adapter: Mapping[str, Any] = run.record.get("identity", {}).get("adapter", {})
    return adapter


def _settings(run: Run) -> tuple[tuple[str, str], ...]:
    """Return what makes the method, the method's name first: the adapter's settings, and what it was measured on."""
    identity = run.record.get("identity", {})
    base = identity.get("base", {})
    about = {key: value for key, value in _adapter(run).items() if key not in _OF_A_TRAINING}
    about |= {"base": str(base.get("sha256") or base.get("revision") or base.get("name_or_path"))[:12]}
    about |= {key: identity[key] for key in _OF_A_MEASUREMENT if key in identity}
    return (("method", run.method), *sorted((key, str(value)) for key, value in about.items() if key != "method"))


def _name(settings: tuple[tuple[str, str], ...], every: Sequence[tuple[tuple[str, str], ...]]) -> str:
    method = settings[0][1]
    same = [dict(other) for other in every if other[0][1] == method]
    differing = [(key, value) for key, value in settings if any(other.get(key) != value for other in same)]
    return "-".join([method, *(_said(key, value) for key, value in differing)])


def _said(key: str, value: str) -> str:
    """Return what a setting adds to the name of a method; of a hash the first digits."""
    if key == _GRADUAL:
        return "gradual"
    return value if key in _SAID_ALONE else f"{key}={value[:8] if _HASH.fullmatch(value) else value}"


def _check_seeds(runs: Sequence[Run]) -> None:
    seeds: dict[Any, Run] = {}
    for run in runs:
        seed = _adapter(run).get("seed")
        if seed in seeds:
            raise ComparisonError(
                f"{seeds[seed].name!r} and {run.name!r} are the same method ({run.method}) with the same training seed "
                f"({seed}), as far as their records say. Leave one out, compare run by run, or say which runs are one "
                "method: NAME=RUN,RUN."
            )
        seeds[seed] = run
