"""Engines: who answers lm-eval's requests at every rank, what each of them needs, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from lm_eval.api.model import LM
from transformers import PreTrainedTokenizerBase

from aurac.errors import OptionError
from aurac.harness.server.client import check_url
from aurac.harness.server.names import check_pattern
from aurac.harness.sweep import RankedAdapter

Opened = tuple[LM, RankedAdapter]
AS_SERVED = "as served"  # the type of a server's weights, which it does not tell
SERVER_OPTIONS = ("url", "served_name", "load_ranks", "verify")


class RankedSource(Protocol):
    """An adapter before it is opened: to be put into a model, or to be written as slices that other programs load."""

    @property
    def max_rank(self) -> int:
        """The rank of the whole adapter."""

    @property
    def sha256(self) -> str:
        """One hash over its weights."""

    @property
    def inference(self) -> str:
        """The inference rule that is scored."""

    @property
    def base_model(self) -> str | None:
        """Name or path of the base model, as the adapter has it."""

    def resize(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        """Give a base model the rows of the embedding that the adapter was trained with."""

    def load(self, model: Any, *, merge: bool) -> tuple[Any, RankedAdapter]:
        """Put it into a base model; returns that model with the adapter, and what sets the rank.

        Args:
            model: The base model.
            merge: Whether each rank may be merged into the base weights, where that is the same function.
        """

    def write_slice(self, rank: int, out: Path) -> Path:
        """Write one rank as a plain PEFT folder."""


@dataclass(frozen=True)
class Base:
    """The base model before it is loaded.

    Attributes:
        name: Folder, or name on the hub.
        dtype: Of its weights, resolved.
        tokenizer: The tokenizer of the scoring.
        config: Its config.
        trust_remote_code: Whether code that comes with it may run.
        ahead: Waits for what the engine's `ahead` began, and returns it; None where nothing was begun.
    """

    name: str
    dtype: str
    tokenizer: PreTrainedTokenizerBase
    config: Any = None
    trust_remote_code: bool = False
    ahead: Callable[[], Any] | None = None


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What an engine is asked for; each takes what concerns it.

    Attributes:
        ranks: The ranks that will be set, increasing.
        with_base: Whether rank 0, the base model alone, will be asked for too.
        batch_size: Documents or prompts at a time, None for the engine's own choice.
        max_length: Tokens that the model reads; None for what its configuration says.
        device: Device; None for the default one.
        no_merge: Whether to leave ranks unmerged.
        progress: Whether to say on standard error what is going on.
        profile: Whether to wait for a GPU where its time is counted.
        folder: Where slices may be written for a while; None for the system's temporary folder.
        url: Of a server, up to /v1.
        served_name: How a server calls rank {rank}.
        load_ranks: Whether to load the ranks into the server, and to take them away afterwards.
        verify: Whether to compare the server with the local adapter first.
    """

    ranks: tuple[int, ...] = ()
    with_base: bool = False
    batch_size: int | str | None = None
    max_length: int | None = None
    device: str | None = None
    no_merge: bool = False
    progress: bool = True
    profile: bool = False
    folder: Path | None = None
    url: str | None = None
    served_name: str | None = None
    load_ranks: bool = False
    verify: bool = False


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One way to have requests answered.

    Attributes:
        open: From an adapter, its base model and options to an lm-eval `LM` and what sets the rank. The `LM` may have
            `close()`, called at the end, `reset_work()` (what was done for a cell, kept in the record) and `about()`
            (versions and the like, kept in the record).
        ahead: Returns what of it may be done in another thread while tasks are built, None for nothing; `open` finds
            what that returned in `Base.ahead`.
        around: For engines that drive a model in memory: (model, tokenizer, *, batch_size, max_length) -> `LM`.
        needs: Modules that must be importable, and what to install for them.
        options: The options of `SERVER_OPTIONS` that it takes.
        one_process: Why it does not share documents with other processes; None if it does.
        knows_dtype: Whether weights have the type that was asked for, which a server decides itself.
    """

    open: Callable[[RankedSource, Base, EngineOptions], Opened]
    ahead: Callable[[Base, EngineOptions], Callable[[], Any] | None] | None = None
    around: Callable[..., LM] | None = None
    needs: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()
    one_process: str | None = None
    knows_dtype: bool = True


def check_engine(name: str, engine: Engine, given: EngineOptions) -> None:
    """Raise `OptionError` where a module is missing, or an option is that of another engine.

    Args:
        name: Of the engine.
        engine: The engine.
        given: The options that it would be opened with.
    """
    for module, install in engine.needs:
        if find_spec(module) is None:
            raise OptionError(f"engine {name} needs the package {module}, which is not installed. {install}")
    for option in SERVER_OPTIONS:
        if getattr(given, option) not in (None, False) and option not in engine.options:
            raise OptionError(
                f"--{option.replace('_', '-')} is for engine server, and the engine is {name}. Give --engine server, "
                "or leave it out."
            )
    if "url" in engine.options and given.url is None:
        raise OptionError(f"engine {name} needs the server's address. Give --url, such as http://127.0.0.1:8000/v1.")
    if given.url is not None:
        check_url(given.url)
    if given.served_name is not None:
        check_pattern(given.served_name)


def must_be_engine(_: str, value: Any) -> str | None:
    """Return what a value must be that is no engine; a check for a `Registry`."""
    return None if isinstance(value, Engine) else "an aurac.harness.opening.Engine"
