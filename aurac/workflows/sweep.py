"""Score an adapter folder at every sub-rank: the library call behind `aurac score`.

The names of the tasks are looked up first, which takes a second, then the folder is read and the tasks are built, and
the model is loaded only if the record lacks a cell.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurac.errors import OptionError, RefusedError, UnknownNameError
from aurac.fields import options_of
from aurac.results import Run
from aurac.results.files import NESTED, NESTED_BUDGETS
from aurac.workflows.budgets import budget_identity, budget_record
from aurac.workflows.model_ahead import engine_options
from aurac.workflows.on_ray import answered_on_ray, check_executor
from aurac.workflows.options import ScoreOptions
from aurac.workflows.prepared import Prepared, has_base, inference_of, prepared

if TYPE_CHECKING:
    from aurac.harness.part_order import Wanted
    from aurac_adapters.folder.retrained import RankedFolder


def score(adapter: str | os.PathLike[str], **options: Any) -> Run | None:
    """Score an adapter with lm-eval at every sub-rank, and return the run.

    What the record holds already is not measured again, so the same call goes on where it was interrupted, and more
    tasks or ranks extend the record.

    Args:
        adapter: Any PEFT LoRA folder, or a folder of LoRAs that were trained for one rank each (rank-1, rank-2, ...).
        options: The fields of `aurac.workflows.options.ScoreOptions`; `tasks` must be given: lm-eval's names of tasks,
            groups and tags, or the protocol's short names, as a text or a list.

    Returns:
        The run, as `aurac.load` returns it; cells that failed are in `failures`. None in all processes but the first,
        where several were started.

    Raises:
        UnknownNameError: For an option, task, metric or engine that there is not.
        OptionError: For an option with a value of another kind.
        AdapterError: If the folder is no adapter that can be used at its sub-ranks.
        ModelError: If the base model cannot be loaded, or memory runs out.
        RankError: If a rank is outside those of the adapter.
        RecordError: If the record's folder holds another run.

    Example:
        `aurac.score("runs/matryoshka", tasks=["arc", "hellaswag"], ranks=[1, 8, 64])`
    """
    known = {*options_of(ScoreOptions), "progress"}
    for name in options:
        if name not in known:
            raise UnknownNameError("option of score", name, known)
    if "tasks" not in options:
        raise TypeError('score() needs tasks, for example tasks=["arc", "hellaswag"]')
    return score_folder(adapter, ScoreOptions(**options))


def score_folder(adapter: str | os.PathLike[str], options: ScoreOptions) -> Run | None:
    """Do what `score` does, with the options as one object."""
    from aurac.harness.protocols import parse_tasks
    from aurac.harness.task_names import check_names
    from aurac.workflows.trackers import check_trackers, report
    from aurac_adapters.folder.sidecar import check_folder

    began = time.perf_counter()
    if options.precision is not None or options.audit is not None:
        check_alone()
    check_folder(Path(adapter))
    check_trackers(options.report_to)
    # Before anything that imports torch.
    check_names(parse_tasks(options.tasks, protocol=options.protocol), include_path=options.include_path)
    from aurac_adapters import read_ranked

    check_engine(options)
    check_executor(options)
    join_processes(options.engine)
    out = options.out or Path(adapter) / nested_folder(options)
    run = measure(read_ranked(adapter), options, out, began=began)
    if run is not None:
        report(run, options.report_to)
    return run


def nested_folder(options: ScoreOptions) -> str:
    """Return the name of the record's folder inside the adapter's: one for ranks, one for budgets."""
    return NESTED_BUDGETS if options.budgets else NESTED


def check_alone() -> None:
    """Raise `RefusedError` in one of several processes, which cannot ask a part of the documents."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RefusedError(
            "--precision and --audit decide from the first answers which documents follow, which several processes "
            "cannot share. Start one process, or score all documents."
        )


def check_engine(options: ScoreOptions) -> None:
    """Raise `OptionError` where the engine's packages are missing, or an option is another engine's."""
    from aurac.harness import ENGINES
    from aurac.harness.opening import check_engine as check

    engine = ENGINES[options.engine]
    check(options.engine, engine, engine_options(options))
    if options.budgets and engine.around is None:
        raise OptionError(
            f"engine {options.engine} serves ranks, and budgets were given. Cut slices with aurac slice --budget and "
            "score each, or leave --engine out."
        )


def join_processes(engine: str) -> None:
    """Join the processes that `accelerate launch` or `torchrun` started; they share the documents of every cell."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    from aurac.harness import ENGINES
    from aurac.harness.engine.processes import start_processes

    if (why := ENGINES[engine].one_process) is not None:
        raise RefusedError(f"engine {engine} {why}. Start one, or use engine aurac.")

    start_processes()


def measure(adapter: RankedFolder, options: ScoreOptions, out: Path, *, began: float | None = None) -> Run | None:
    """Measure what the record in `out` lacks; None in all processes but the first.

    `began` is `time.perf_counter()` when the call began.
    """
    with prepared(adapter, options, out) as found:
        return sweep(found, out, began=began)


def sweep(found: Prepared, out: Path, *, began: float | None) -> Run | None:
    """Measure: what `measure` does once the tasks are built."""
    from aurac.harness import ENGINES, score_adapter
    from aurac.harness.identity import base_identity
    from aurac.harness.opening import AS_SERVED
    from aurac.harness.scoring import run_identity
    from aurac.results.writing import check_identity
    from aurac_adapters.folder.spent import about_adapter

    adapter, options, suite, plan = found.adapter, found.options, found.suite, found.plan
    described = adapter_identity(adapter, inference_of(adapter, options)) | budget_identity(plan)
    identity = run_identity(
        suite,
        adapter=described,
        base=base_identity(found.base.name),
        dtype=found.base.dtype if ENGINES[options.engine].knows_dtype else AS_SERVED,
        engine=options.engine,
        max_length=options.max_length,
        tokenizer=found.chosen.sha256,
        wanted=wanted_of(options),
    )
    check_identity(out, identity)
    if options.progress and os.environ.get("RANK", "0") == "0":
        for request in suite.requests:
            print(request, file=sys.stderr)
        if found.chosen.note:
            print(found.chosen.note, file=sys.stderr)
    opened = []

    def open_model() -> tuple[Any, Any]:
        opened.append(out)
        return found.open(out)

    measured: Run | None = score_adapter(
        open_model,
        suite,
        out=out,
        identity=identity,
        ranks=found.ranks,
        with_base=has_base(adapter, options),
        progress=options.progress,
        wanted=wanted_of(options),
        budgets=None if plan is None else {str(size): budget_record(each) for size, each in plan.budgets.items()},
        about=about_adapter(adapter, found.ranks if plan is None else ()),
        answer=answered_on_ray(adapter.path, options, out) if options.executor == "ray" else None,
        began=began,
    )
    if options.verify and not opened:
        print("nothing was left to measure, so that nothing was verified", file=sys.stderr)
    return measured


def wanted_of(options: ScoreOptions) -> Wanted | None:
    """Return what decides how many documents are asked; None for all."""
    from aurac.harness.part_order import Wanted

    if options.precision is None and options.audit is None:
        return None
    return Wanted(options.precision, options.audit)


def adapter_identity(adapter: RankedFolder, inference: str | None) -> dict[str, Any]:
    """Return what of an adapter moves its scores."""
    return {
        "path": str(adapter.path),
        "sha256": adapter.sha256,
        **adapter.method.to_dict(),
        **{name: adapter.config[name] for name in ("rank_pattern", "alpha_pattern") if adapter.config.get(name)},
        **{f"training_{name}": value for name, value in adapter.training.items()},
        "inference": inference or adapter.inference,
        "sidecar": adapter.has_sidecar,
        **({"notes": list(adapter.notes)} if adapter.notes else {}),
    }
