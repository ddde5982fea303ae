"""Score an adapter folder at every sub-rank: the library call behind `aurac score`.

The names of the tasks are looked up first, which takes a second, then the folder is read and the tasks are built, and
the model is loaded only if the record lacks a cell.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurac.errors import AdapterError, ModelError, OptionError, RefusedError, UnknownNameError
from aurac.fields import options_of
from aurac.ranks import default_ranks
from aurac.results import Run
from aurac.results.files import NESTED, NESTED_BUDGETS
from aurac.workflows.options import ScoreOptions

if TYPE_CHECKING:
    from aurac.harness.chat import Chat
    from aurac.harness.opening import EngineOptions
    from aurac.harness.part_order import Wanted
    from aurac.harness.suite import Suite
    from aurac_adapters.folder.budgets import Budget, BudgetPlan
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

    check_trackers(options.report_to)
    # Before anything that imports torch.
    check_names(parse_tasks(options.tasks, protocol=options.protocol), include_path=options.include_path)
    from aurac_adapters import read_ranked

    if options.precision is not None or options.audit is not None:
        check_alone()
    check_engine(options)
    join_processes(options.engine)
    run = measure(read_ranked(adapter), options, options.out or Path(adapter) / nested_folder(options))
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


def measure(adapter: RankedFolder, options: ScoreOptions, out: Path) -> Run | None:
    """Measure what the record in `out` lacks; None in all processes but the first."""
    from aurac.harness import ENGINES, parse_tasks, score_adapter
    from aurac.harness.identity import base_identity
    from aurac.harness.model import load_config, resolve_dtype
    from aurac.harness.opening import AS_SERVED
    from aurac.harness.scoring import run_identity
    from aurac.harness.tokenizer import choose_tokenizer
    from aurac.harness.window import base_window, check_room
    from aurac.results.writing import check_identity
    from aurac_adapters.folder.spent import about_adapter

    check_writes_text(adapter)
    requests = parse_tasks(options.tasks, protocol=options.protocol)
    base = base_of(adapter, options)
    plan = planned_budgets(adapter, options)
    ranks = checked_ranks(adapter, options) if plan is None else tuple(plan.budgets)
    config = load_config(base, trust_remote_code=options.trust_remote_code)
    dtype = resolve_dtype(base, options.dtype, config=config)
    base_is = base_identity(base)
    chosen = choose_tokenizer(base, adapter.path, options.tokenizer, trust_remote_code=options.trust_remote_code)
    suite = build(requests, chosen.tokenizer, options)
    check_room(suite, options.max_length or base_window(base, config, trust_remote_code=options.trust_remote_code))
    described = adapter_identity(adapter, inference_of(adapter, options)) | budget_identity(plan)
    identity = run_identity(
        suite,
        adapter=described,
        base=base_is,
        dtype=dtype if ENGINES[options.engine].knows_dtype else AS_SERVED,
        engine=options.engine,
        max_length=options.max_length,
        tokenizer=chosen.sha256,
        wanted=wanted_of(options),
    )
    check_identity(out, identity)
    if options.progress and os.environ.get("RANK", "0") == "0":
        for request in suite.requests:
            print(request, file=sys.stderr)
        if chosen.note:
            print(chosen.note, file=sys.stderr)
    served = ranks if plan is None else None
    measured: Run | None = score_adapter(
        lambda: open_budgets(*open_model(adapter, base, dtype, options, config, chosen.tokenizer, served, out), plan),
        suite,
        out=out,
        identity=identity,
        ranks=ranks,
        with_base=has_base(adapter, options),
        progress=options.progress,
        wanted=wanted_of(options),
        budgets=None if plan is None else {str(size): budget_record(each) for size, each in plan.budgets.items()},
        about=about_adapter(adapter, ranks if plan is None else ()),
    )
    return measured


def wanted_of(options: ScoreOptions) -> Wanted | None:
    """Return what decides how many documents are asked; None for all."""
    from aurac.harness.part_order import Wanted

    if options.precision is None and options.audit is None:
        return None
    return Wanted(options.precision, options.audit)


def planned_budgets(adapter: RankedFolder, options: ScoreOptions) -> BudgetPlan | None:
    """Return what the adapter is at the budgets that were asked for; None where ranks are."""
    from aurac_adapters.folder.budgets import plan_budgets

    return None if options.budgets is None else plan_budgets(adapter, options.budgets)


def budget_identity(plan: BudgetPlan | None) -> dict[str, Any]:
    """Return what says that a record is over budgets: nothing for ranks."""
    return {} if plan is None else {"unit": "parameters", "parameters": plan.whole}


def budget_record(budget: Budget) -> dict[str, Any]:
    """Return what a record says of a budget: the parameters in use, and the rank of all layers or of each."""
    ranks = {"rank": budget.rank} if budget.rank is not None else {"ranks": dict(budget.ranks)}
    return {"parameters": budget.used, **ranks}


def open_budgets(lm: Any, adapter: Any, plan: BudgetPlan | None) -> tuple[Any, Any]:
    """Return the model, and its adapter as one that is set by budgets where they were planned."""
    from aurac_adapters.layer.budgeted import BudgetedAdapter

    if plan is None:
        return lm, adapter
    choices = {size: each.ranks if each.rank is None else each.rank for size, each in plan.budgets.items()}
    return lm, BudgetedAdapter(adapter, choices, plan.whole)


def check_writes_text(adapter: RankedFolder) -> None:
    """Raise `AdapterError` for an adapter of a classifier or an encoder, whose head is not that of a language model."""
    kind = adapter.config.get("task_type")
    if kind not in (None, "CAUSAL_LM", "SEQ_2_SEQ_LM"):
        raise AdapterError(
            f"{adapter.path} is an adapter for {kind} (task_type), not of a language model; lm-eval's tasks ask for "
            "probabilities of texts, which it does not give. Give an adapter of task type CAUSAL_LM or SEQ_2_SEQ_LM."
        )


def base_of(adapter: RankedFolder, options: ScoreOptions) -> str:
    """Return the base model: the one that was given, else the one that the adapter names."""
    base = options.base or adapter.base_model
    if base is None:
        raise ModelError(f"{adapter.path} does not name its base model. Give it with --base.")
    return base


def inference_of(adapter: RankedFolder, options: ScoreOptions) -> str | None:
    """Return the inference rule with its gain; None for the adapter's own."""
    from aurac_adapters.methods.inference import served

    return served(options.inference, options.gain, adapter.inference)


def has_base(adapter: RankedFolder, options: ScoreOptions) -> bool:
    """Return whether to measure the base model too; not beside an adapter that comes with biases of its own."""
    from aurac_adapters.layer.config import trained_whole

    if options.no_base:
        return False
    if trained_whole(adapter.config) == "bias":
        if options.progress:
            print("the adapter replaces biases of the base model, so rank 0 is not measured", file=sys.stderr)
        return False
    return True


def checked_ranks(adapter: RankedFolder, options: ScoreOptions) -> tuple[int, ...] | None:
    """Return the ranks to measure, each one that the adapter has; None for the default."""
    from aurac.harness.sweep import check_ranks
    from aurac_adapters.folder.retrained import check_trained

    ranks = options.ranks or adapter.own_ranks
    if not ranks:
        return None
    for rank in check_ranks(ranks, adapter.method.max_rank):
        if adapter.own_ranks:
            check_trained(rank, adapter.own_ranks)
    return tuple(ranks)


def build(requests: Any, tokenizer: Any, options: ScoreOptions) -> Suite:
    """Build the tasks."""
    from aurac.harness import build_suite

    suite: Suite = build_suite(
        requests,
        include_path=options.include_path,
        limit=options.limit,
        fewshot_seed=options.seed,
        fewshot_seeds=options.fewshot_seeds or (),
        confirm_unsafe=options.confirm_unsafe,
        chat=chat(tokenizer, options),
        cluster=options.cluster,
    )
    return suite


def chat(tokenizer: Any, options: ScoreOptions) -> Chat:
    """Return how prompts are wrapped; the tokenizer is needed for a template only."""
    from aurac.harness.chat import Chat

    template = options.apply_chat_template
    wraps = tokenizer if template else None
    return Chat(template, options.system_instruction, options.fewshot_as_multiturn, wraps)


def open_model(
    adapter: RankedFolder,
    base: str,
    dtype: str,
    options: ScoreOptions,
    config: Any = None,
    tokenizer: Any = None,
    ranks: Sequence[int] | None = None,
    out: Path | None = None,
) -> tuple[Any, Any]:
    """Have the engine open base model and adapter; returns the lm-eval model and the handle that sets the rank."""
    from aurac.harness import ENGINES
    from aurac.harness.model import load_tokenizer
    from aurac.harness.opening import Base
    from aurac.workflows.source import FolderSource

    trusted = options.trust_remote_code
    tokenizer = tokenizer or load_tokenizer(base, trust_remote_code=trusted)
    source = FolderSource(adapter, inference_of(adapter, options))
    asked = replace(engine_options(options), ranks=tuple(ranks or default_ranks(source.max_rank)), folder=out)
    asked = replace(asked, with_base=has_base(adapter, replace(options, progress=False)))
    return ENGINES[options.engine].open(source, Base(base, dtype, tokenizer, config, trusted), asked)  # type: ignore[no-any-return]


def engine_options(options: ScoreOptions) -> EngineOptions:
    """Return what of the options is an engine's."""
    from aurac.harness.opening import EngineOptions

    names = {entry.name for entry in fields(EngineOptions)} & {entry.name for entry in fields(options)} - {"ranks"}
    return EngineOptions(**{name: getattr(options, name) for name in names})


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
