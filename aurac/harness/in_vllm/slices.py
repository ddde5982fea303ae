"""The ranks as vLLM takes them: slices on disk, refused where it would compute something else without a word."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from safetensors import safe_open

from aurac.errors import AdapterError, RankError
from aurac.harness.opening import RankedSource

MAX_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM has buffers and kernels for
_FACTOR = re.compile(r"^base_model\.model\.(.+)\.lora_[AB]\.weight$")
_IN_A_BLOCK = re.compile(r"\.\d+\.")
_WHOLE = ("modules_to_save", "trainable_token_indices", "lora_bias")


class Slices:
    """The ranks of an adapter, written when they are asked for, into a folder that goes again.

    Args:
        adapter: Writes them.
        folder: Where to; None for the system's temporary folder.
    """

    def __init__(self, adapter: RankedSource, folder: Path | None) -> None:
        """Write nothing yet."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._adapter, self._folder = adapter, Path(mkdtemp(prefix=".slices-", dir=folder)).resolve()

    def path(self, rank: int) -> Path:
        """Return the folder of one rank."""
        out = self._folder / f"rank-{rank}"
        return out if out.exists() else self._adapter.write_slice(rank, out)

    def remove(self) -> None:
        """Remove them all."""
        shutil.rmtree(self._folder, ignore_errors=True)


def max_lora_rank(ranks: Sequence[int]) -> int:
    """Return the `max_lora_rank` for these ranks: the smallest that holds them, because it sets the cost of all.

    Raises:
        RankError: If vLLM holds none of them.

    Example:
        >>> max_lora_rank([1, 12])
        16
    """
    if max(ranks) > MAX_LORA_RANKS[-1]:
        raise RankError(f"vLLM takes ranks up to {MAX_LORA_RANKS[-1]}, and {max(ranks)} is asked for. Leave it out.")
    return next(allowed for allowed in MAX_LORA_RANKS if allowed >= max(ranks))


def adapted_modules(folder: Path) -> list[str]:
    """Return the names of the layers that a slice adapts, as vLLM's `lora_target_modules` wants them.

    Raises:
        AdapterError: If it holds what vLLM leaves out, or gets wrong log-probabilities of prompts with.
    """
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    _check_config(config)
    with safe_open(folder / "adapter_model.safetensors", framework="np") as file:
        found = {key: _FACTOR.match(key) for key in file.keys()}  # noqa: SIM118
    if odd := [key for key, match in found.items() if match is None]:
        raise AdapterError(
            f"the adapter holds {odd[0]}, and vLLM takes the factors of linear layers alone. Use --engine aurac."
        )
    layers = {match.group(1) for match in found.values() if match is not None}
    if outside := sorted(layer for layer in layers if not _IN_A_BLOCK.search(layer)):
        raise AdapterError(
            f"the adapter adapts {outside[0]}, which vLLM leaves out of the log-probabilities of prompts (a GPU) or "
            "fails at (a CPU). Use --engine aurac."
        )
    return sorted({layer.rpartition(".")[2] for layer in layers})


def _check_config(config: dict[str, Any]) -> None:
    odd = [name for name in (*_WHOLE, "use_dora") if config.get(name)]
    odd += ["bias"] if config.get("bias") not in (None, "none") else []
    if odd:
        raise AdapterError(
            f"the adapter was trained with {', '.join(odd)}, which vLLM does not serve. Use --engine aurac."
        )
