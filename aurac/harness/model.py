"""The base model from a folder or the hub, and lm-eval's own model class around it."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.model import LM
from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from aurac.base_model import read_config, read_model, read_tokenizer
from aurac.errors import ModelError, UnknownNameError
from aurac.harness.quiet import building

DTYPES = ("auto", "float32", "bfloat16", "float16")


def default_device() -> str:
    """Return "cuda" where there is one (each process of a launcher its own), else "cpu"."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"


def resolve_dtype(
    name_or_path: str, dtype: str = "auto", *, trust_remote_code: bool = False, config: Any = None
) -> str:
    """Return the name of the dtype that the model is loaded in: "auto" is what its config says, else float32.

    Args:
        name_or_path: Folder, or name on the hub.
        dtype: One of `DTYPES`.
        trust_remote_code: Whether to run code that comes with the model.
        config: Its config, where `load_config` has read it before.

    Raises:
        ModelError: If there is no such model.
        UnknownNameError: If `dtype` is not in `DTYPES`.
    """
    if dtype not in DTYPES:
        raise UnknownNameError("dtype", dtype, DTYPES)
    if dtype != "auto":
        return dtype
    config = config or load_config(name_or_path, trust_remote_code=trust_remote_code)
    own = getattr(config, "dtype", None) or torch.float32
    return str(own).removeprefix("torch.")


def load_config(name_or_path: str, *, trust_remote_code: bool = False) -> Any:
    """Return the model's config, or raise `ModelError` saying why there is none."""
    return read_config(name_or_path, model_error, trust_remote_code=trust_remote_code)


def load_tokenizer(name_or_path: str, *, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a base model, or raise `ModelError` saying why there is none."""
    tokenizer: PreTrainedTokenizerBase = read_tokenizer(name_or_path, model_error, trust_remote_code=trust_remote_code)
    return tokenizer


def load_base(
    name_or_path: str,
    dtype: str = "auto",
    device: str | None = None,
    *,
    trust_remote_code: bool = False,
    config: Any = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer, ready for evaluation.

    Args:
        name_or_path: Folder, or name on the hub.
        dtype: One of `DTYPES`.
        device: "cpu", "cuda", "cuda:1" ...; by default `default_device()`.
        trust_remote_code: Whether to run code that comes with the model.
        config: Its config, where `load_config` has read it before.

    Raises:
        ModelError: If it cannot be loaded. Weights must be safetensors: a pickle can run code when it is read.
    """
    config = config or load_config(name_or_path, trust_remote_code=trust_remote_code)
    tokenizer = load_tokenizer(name_or_path, trust_remote_code=trust_remote_code)
    own = getattr(torch, resolve_dtype(name_or_path, dtype, config=config))
    model = read_model(name_or_path, model_error, trust_remote_code=trust_remote_code, config=config, dtype=own)
    device = device or default_device()
    try:
        return model.to(device).eval(), tokenizer
    except (RuntimeError, AssertionError) as exc:  # unknown, not there, or too small
        cause = str(exc).split("\n")[0].rstrip(".")
        raise ModelError(
            f"the model cannot be put on device {device!r}: {cause}. Use cpu, or a GPU that is there."
        ) from exc


def hflm_engine(
    model: Any, tokenizer: PreTrainedTokenizerBase, *, batch_size: int | str = 8, max_length: int | None = None
) -> LM:
    """Return lm-eval's own model class around a loaded model: the plain path that others are compared with.

    Everything is left as lm-eval has it, except that the softmax is in float32 (in bfloat16 the sums over long answers
    are off by up to 2 nats), and that logits are not kept for other requests: where two requests agree in all but
    where the answer begins, lm-eval 0.4.13 reads one of them at the wrong positions.

    Args:
        model: The model, with or without an adapter, on its device.
        tokenizer: Its tokenizer.
        batch_size: Requests at a time, or "auto".
        max_length: Tokens that the model reads; None for what its configuration says.
    """
    with building():
        options: dict[str, Any] = {"softmax_dtype": "float32", "logits_cache": False}
        if max_length is not None:
            options["max_length"] = max_length
        with tied_as_it_is(model):
            return _QuietHFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, **options)


@contextlib.contextmanager
def tied_as_it_is(model: Any) -> Iterator[None]:
    """Keep HFLM from tying the weights of a loaded model again: it fails where an adapter wraps one of them."""
    if isinstance(model, torch.nn.Module):
        model.tie_weights = lambda *_, **__: None  # type: ignore[assignment]
    try:
        yield
    finally:
        if isinstance(model, torch.nn.Module):
            del model.tie_weights


class _QuietHFLM(HFLM):  # type: ignore[misc]
    """HFLM without its progress bars, one or more for every cell, and its lines on batch sizes."""

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = True) -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = True) -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return super().generate_until(requests, disable_tqdm=disable_tqdm)

    def _loglikelihood_tokens(
        self, requests: list[Any], disable_tqdm: bool = True, override_bs: int | None = None
    ) -> Any:
        # The rolling path asks for a bar for every batch.
        return super()._loglikelihood_tokens(requests, disable_tqdm=True, override_bs=override_bs)

    def _batch_scheduler(self, pos: int, requests: Any) -> Any:
        # "auto:4" looks for a batch size 4 times on the way; lm-eval divides by zero where there are fewer requests.
        schedule: float = self.batch_schedule
        self.batch_schedule: float = min(schedule, len(requests))
        try:
            return super()._batch_scheduler(pos, requests)
        finally:
            self.batch_schedule = schedule


def model_error(name_or_path: str, exc: Exception) -> ModelError:
    """Turn what transformers raises into one sentence with a remedy."""
    path = Path(name_or_path)
    cause = str(exc).strip().split("\n")[0].rstrip(".")
    if path.is_dir():
        if not (path / "config.json").exists():
            return ModelError(f"{name_or_path} is no model folder: it has no config.json. Give another with --base.")
        if any(path.glob("*.bin")) and not any(path.glob("*.safetensors")):
            return ModelError(
                f"{name_or_path} holds its weights as pickles (.bin), which can run code when they are read. Convert "
                "them to safetensors (model.save_pretrained writes them)."
            )
        if cause.startswith("Unrecognized configuration class"):
            kind = cause.partition("'")[2].partition("'")[0].rpartition(".")[2].removesuffix("Config")
            return ModelError(
                f"{name_or_path} is a {kind} model, and transformers has no language model of text alone for it. If it "
                "reads images too, its text part can be scored, saved as a model of its own (save_pretrained)."
            )
        return ModelError(f"the model in {name_or_path} cannot be loaded: {cause}.")
    if path.is_absolute() or name_or_path.startswith(".") or name_or_path.count("/") > 1:
        return ModelError(
            f"no such model folder: {name_or_path}. Give the base model's folder or hub name with --base."
        )
    return ModelError(
        f"the model {name_or_path!r} cannot be loaded: {cause}. It is no folder here; to take it from the hub, run "
        "once with network access, or give a folder with --base."
    )
