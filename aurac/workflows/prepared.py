"""What is known of a scoring before the model is loaded, and how it is loaded: wherever requests are answered."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurac.errors import AdapterError, ModelError
from aurac.ranks import default_ranks
from aurac.workflows.budgets import open_budgets, planned_budgets
from aurac.workflows.model_ahead import begun, engine_options
from aurac.workflows.options import ScoreOptions

if TYPE_CHECKING:
    from aurac.harness.chat import Chat
    from aurac.harness.opening import Base
    from aurac.harness.suite import Suite
    from aurac.harness.tokenizer import ChosenTokenizer
    from aurac_adapters.folder.budgets import BudgetPlan
    from aurac_adapters.folder.retrained import RankedFolder


@dataclass(frozen=True)
class Prepared:
    """All that is known of a scoring before the model is loaded.

    Attributes:
        adapter: The adapter's folder, read.
        options: What was asked for.
        base: The base model, perhaps begun to be read.
        chosen: The tokenizer.
        suite: The tasks, built.
        plan: What the adapter is at the budgets that were asked for; None where ranks are.
        ranks: Ranks, or budgets; None for the default.
    """

    adapter: RankedFolder
    options: ScoreOptions
    base: Base
    chosen: ChosenTokenizer
    suite: Suite
    plan: BudgetPlan | None
    ranks: tuple[int, ...] | None

    def open(self, out: Path | None) -> tuple[Any, Any]:
        """Return the lm-eval model and what sets the rank, or the budget."""
        served = self.ranks if self.plan is None else None
        return open_budgets(*open_model(self.adapter, self.base, self.options, served, out), self.plan)


@contextmanager
def prepared(adapter: RankedFolder, options: ScoreOptions, out: Path | None) -> Iterator[Prepared]:
    """Read configuration and tokenizer of the base model, and build the tasks, while the model is read.

    Args:
        adapter: The adapter's folder, read.
        options: What was asked for.
        out: Folder of the record, which tells whether the model will be needed; None to read it when it is opened.
    """
    from aurac.harness import parse_tasks
    from aurac.harness.model import load_config, resolve_dtype
    from aurac.harness.opening import Base
    from aurac.harness.tokenizer import choose_tokenizer
    from aurac.harness.window import base_window, check_room

    check_writes_text(adapter)
    requests, trusted = parse_tasks(options.tasks, protocol=options.protocol), options.trust_remote_code
    name = base_of(adapter, options)
    plan = planned_budgets(adapter, options)
    ranks = checked_ranks(adapter, options) if plan is None else tuple(plan.budgets)
    config = load_config(name, trust_remote_code=trusted)
    dtype = resolve_dtype(name, options.dtype, config=config)
    chosen = choose_tokenizer(name, adapter.path, options.tokenizer, trust_remote_code=trusted)
    known = Base(name, dtype, chosen.tokenizer, config, trusted)
    with nullcontext(known) if out is None or options.executor == "ray" else begun(known, options, out) as base:
        suite = build(requests, chosen.tokenizer, options)
        check_room(suite, options.max_length or base_window(name, config, trust_remote_code=trusted))
        yield Prepared(adapter, options, base, chosen, suite, plan, ranks)


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
    adapter: RankedFolder, base: Base, options: ScoreOptions, ranks: Sequence[int] | None, out: Path | None
) -> tuple[Any, Any]:
    """Have the engine open base model and adapter; returns the lm-eval model and the handle that sets the rank."""
    from aurac.harness import ENGINES
    from aurac.workflows.source import FolderSource

    source = FolderSource(adapter, inference_of(adapter, options))
    asked = replace(engine_options(options), ranks=tuple(ranks or default_ranks(source.max_rank)), folder=out)
    asked = replace(asked, with_base=has_base(adapter, replace(options, progress=False)))
    return ENGINES[options.engine].open(source, base, asked)  # type: ignore[no-any-return]
