"""What a scoring is asked to do, as one dataclass: the options of `aurac.score`, of `aurac score` and of recipes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Literal

from aurac.errors import OptionError
from aurac.fields import check_fields


def engines() -> tuple[str, ...]:
    """Return the names of the engines, the default first."""
    from aurac.harness import ENGINES

    return tuple(ENGINES)


def inference_names() -> str:
    """Return the inference rules as help shows them."""
    from aurac_adapters.methods.inference import INFERENCES

    return f"{{{','.join(INFERENCES)}}}"


def check_inference(name: str) -> None:
    """Raise an error for a rule that there is not, or a gain behind it that is none ("prefix-gain-4" is one)."""
    from aurac_adapters.methods.inference import split_gain

    split_gain(name)


def check_positive(value: float) -> None:
    """Raise `OptionError` unless the number is positive and finite."""
    if not (isfinite(value) and value > 0):
        raise OptionError(f"{value:g} is not a positive number")


def check_share(value: float) -> None:
    """Raise `OptionError` unless the number lies between 0 and 1, both excluded."""
    if not 0 < value < 1:
        raise OptionError(f"{value:g} is no share between 0 and 1, both excluded; for example 0.2")


def check_gpus(value: float) -> None:
    """Raise `OptionError` for what is no number of GPUs: 0 or more, a fraction below 1, else a whole number."""
    if not (0 <= value <= 1 or (1 < value < 1e6 and value == int(value))):
        raise OptionError(f"{value:g} is no number of GPUs: give a fraction up to 1, or a whole number")


def check_batch_size(value: int | str) -> None:
    """Raise `OptionError` for what is no number from 1, nor "auto", nor lm-eval's "auto:N"."""
    if value < 1 if isinstance(value, int) else re.fullmatch(r"auto(:[1-9]\d*)?", value) is None:
        raise OptionError(f"{str(value)!r} is neither a number from 1 nor auto, nor auto:N such as auto:4")


def check_draws(seeds: Sequence[int]) -> None:
    """Raise `OptionError` for seeds of few-shot examples that are too few, or not distinct."""
    if len(set(seeds)) < len(seeds) or len(seeds) < 2:
        raise OptionError(
            f"{','.join(map(str, seeds)) or 'nothing'} is no list of at least two distinct seeds, such as 1,2,3; one "
            "draw of examples has its seed from --seed"
        )


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Everything that decides what a scoring measures, and where the record goes.

    A field here is a flag of `aurac score` and a key of a recipe's `[scoring]`, with the help that stands below.

    Attributes:
        tasks: Comma-separated, such as arc,hellaswag or arc_challenge@0:acc.
        base: Base model: folder or hub name (default: what the adapter names).
        out: Record folder (default: ADAPTER_DIR/aurac-run).
        ranks: Default: powers of two up to R, and R.
        budgets: Shares of the adapter's parameters, or numbers of them, instead of ranks; such as 0.1,0.25,0.5,1.
        inference: Rule at sub-ranks (default: what the adapter says, else prefix).
        gain: Multiply the served update at every rank (default: the adapter's, 1).
        no_base: Do not measure the base model beside the adapter.
        tokenizer: Tokenizer: folder or hub name (default: the adapter folder's where it has another, else the base's).
        include_path: Folder of your own lm-eval YAML tasks.
        protocol: What the short names stand for; authors: the paper's metrics.
        limit: First N documents of each task, or a fraction.
        precision: As many documents of each task as give its AURAC this 95 % half-width on the whole task, in points.
        audit: Ask all documents at one middle rank, and this share of them at the others; 0.2 is usual.
        batch_size: Documents at a time, or "auto" (default: auto; hflm: 8); auto:N as lm-eval takes it.
        max_length: Tokens that the model reads; longer prompts are cut from the left (default: what its config says).
        device: Device, such as cpu, cuda or cuda:1 (default: cuda where there is one).
        dtype: Of the base model (default: auto, what its config says).
        seed: Of the draw of few-shot examples.
        fewshot_seeds: Draw the examples once for each of these seeds; errors are over documents and draws then.
        apply_chat_template: Wrap prompts in the tokenizer's chat template; after ADAPTER_DIR.
        system_instruction: Comes before every prompt.
        fewshot_as_multiturn: With a chat template: examples are turns of the conversation (default: yes).
        cluster: Field that documents share, such as passage or subject; none (default: passage, context, article ...).
        no_merge: Do not merge each rank into float32 base weights, which is faster.
        engine: Who answers: aurac (shares work between prompts and ranks), hflm (lm-eval's own model), vllm, a server.
        url: Engine server: address of an OpenAI-compatible server, up to /v1.
        served_name: Engine server: what it calls rank {rank} (default: r{rank}).
        load_ranks: Engine server: load the ranks into a running vLLM, and take them away afterwards.
        verify: Engine server: compare a few tokens at every rank with the local adapter first.
        executor: Who has the model: this process (local), or workers of a Ray cluster, which share the cells.
        address: Executor ray: HOST:PORT of the cluster (default: RAY_ADDRESS, else this machine alone).
        jobs: Executor ray: workers, each with the whole model (default: as many as there is room for).
        gpus: Executor ray: GPUs of each worker; 0.25 lets four share one (default: 1 if there is any).
        cpus: Executor ray: cores of each worker (default: 1).
        trust_remote_code: Run code that comes with the base model.
        confirm_unsafe: Build tasks that run code which the model wrote.
        profile: Say where the time went: building, planning, forward, projection, softmax; on a GPU the clock waits.
        report_to: Trackers that get every curve and AURAC: tensorboard, trackio, wandb; a step is a rank.
        progress: Show a bar on standard error.
    """

    tasks: str | Sequence[str] = field(metadata={"metavar": "TASKS"})
    base: str | None = field(default=None, metadata={"metavar": "MODEL"})
    out: Path | None = None
    ranks: Sequence[int] | None = None
    budgets: Sequence[float] | None = None
    inference: str | None = field(default=None, metadata={"metavar": inference_names, "check": check_inference})
    gain: float | None = field(default=None, metadata={"metavar": "C", "check": check_positive})
    no_base: bool = False
    tokenizer: str | None = field(default=None, metadata={"metavar": "NAME"})
    include_path: str | None = field(default=None, metadata={"metavar": "DIR"})
    protocol: Literal["standard", "authors"] = "standard"
    limit: float | None = field(default=None, metadata={"metavar": "N"})
    precision: float | None = field(default=None, metadata={"metavar": "POINTS", "check": check_positive})
    audit: float | None = field(default=None, metadata={"metavar": "SHARE", "check": check_share})
    batch_size: int | str | None = field(default=None, metadata={"check": check_batch_size, "metavar": "N|auto"})
    max_length: int | None = field(default=None, metadata={"minimum": 1, "metavar": "N"})
    device: str | None = field(default=None, metadata={"metavar": "DEVICE"})
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    seed: int = 1234
    fewshot_seeds: Sequence[int] | None = field(default=None, metadata={"check": check_draws})
    apply_chat_template: bool | str = field(default=False, metadata={"metavar": "NAME"})
    system_instruction: str | None = None
    fewshot_as_multiturn: bool = True
    cluster: str | None = field(default=None, metadata={"metavar": "FIELD"})
    no_merge: bool = False
    engine: str = field(default="aurac", metadata={"choices": engines})
    url: str | None = field(default=None, metadata={"metavar": "URL"})
    served_name: str | None = field(default=None, metadata={"metavar": "NAME"})
    load_ranks: bool = False
    verify: bool = False
    executor: Literal["local", "ray"] = "local"
    address: str | None = field(default=None, metadata={"metavar": "HOST:PORT"})
    jobs: int | None = field(default=None, metadata={"minimum": 1, "metavar": "N"})
    gpus: float | None = field(default=None, metadata={"check": check_gpus, "metavar": "X"})
    cpus: int | None = field(default=None, metadata={"minimum": 1, "metavar": "N"})
    trust_remote_code: bool = False
    confirm_unsafe: bool = False
    profile: bool = False
    report_to: tuple[str, ...] = ()
    progress: bool = field(default=True, metadata={"option": False})

    def __post_init__(self) -> None:
        """Refuse values of another kind than the fields', and two that contradict each other."""
        check_fields(self)
        if self.precision is not None and self.audit is not None:
            raise OptionError(
                "precision and audit were both given; each decides by itself which documents are asked. Give one."
            )
        if self.precision is not None and self.limit is not None:
            raise OptionError(
                "limit and precision were both given; the first documents are no random part of a task, so precision "
                "could say nothing about it. Give one."
            )
        if self.fewshot_seeds and (self.precision is not None or self.audit is not None):
            raise OptionError(
                "fewshot_seeds and a part of the documents (precision, audit) were both given; a part is chosen for "
                "the error over documents alone. Give one."
            )
        if self.fewshot_seeds and self.seed != ScoreOptions.seed:
            raise OptionError("seed and fewshot_seeds were both given; each names the draws of examples. Give one.")
        if self.ranks and self.budgets:
            raise OptionError("ranks and budgets were given. A record is over one of them; score the other by itself.")
