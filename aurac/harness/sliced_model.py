"""Slices of an adapter on one base model, side by side: each can be attached, or merged, without loading it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora.layer import LoraLayer

from aurac.harness.engine.forward import cache_keyword


class SlicedModel:
    """One base model with one plain PEFT adapter for each rank.

    Only the slice in use lies on the model's device, so that the peak of memory is that of serving this rank alone.

    Args:
        base: The base model, on its device; it is changed.
        folders: Rank -> folder of its slice, a PEFT adapter of that rank.
    """

    def __init__(self, base: Any, folders: Mapping[int, Path]) -> None:
        """Load every slice into main memory."""
        self._base = base
        self._model: Any = None
        for rank, folder in folders.items():
            self._model = self._load(rank, folder)
            self._place(rank, "cpu")
        self.ranks = tuple(folders)

    @property
    def device(self) -> torch.device:
        """Device of the base model."""
        return torch.device(self._base.device)

    @property
    def max_positions(self) -> int | None:
        """Longest context of the base model, None where its config does not say."""
        return getattr(self._base.config.get_text_config(), "max_position_embeddings", None)

    @property
    def takes_cache(self) -> bool:
        """Whether the base model takes a key-value cache."""
        return cache_keyword(self._base) is not None

    @property
    def vocab_size(self) -> int:
        """Number of tokens that the base model knows."""
        return int(self._base.config.get_text_config().vocab_size)

    @property
    def adapter_dtype(self) -> str:
        """Type of the adapter's weights in memory, which may be wider than in its file."""
        parameter = next(iter(self._parameters(self.ranks[0])))
        return str(parameter.dtype).removeprefix("torch.")

    @contextmanager
    def unmerged(self, rank: int) -> Iterator[Any]:
        """Yield the model with the slice attached."""
        self._activate(rank)
        try:
            yield self._base
        finally:
            self._place(rank, "cpu")

    @contextmanager
    def merged(self, rank: int) -> Iterator[Any]:
        """Yield the model with the slice merged and no adapter layers, as `merge_and_unload` leaves it."""
        self._activate(rank)
        self._model.merge_adapter([_name(rank)])
        self._place(rank, "cpu")
        try:
            with self._bare():
                yield self._base
        finally:
            self._place(rank, self.device)
            self._model.unmerge_adapter()
            self._place(rank, "cpu")

    def _load(self, rank: int, folder: Path) -> Any:
        if self._model is None:
            return PeftModel.from_pretrained(self._base, folder, adapter_name=_name(rank), torch_device="cpu").eval()
        self._model.load_adapter(str(folder), _name(rank), torch_device="cpu")
        return self._model.eval()

    def _activate(self, rank: int) -> None:
        self._model.set_adapter(_name(rank), inference_mode=True)
        self._place(rank, self.device)

    def _parameters(self, rank: int) -> Iterator[torch.nn.Parameter]:
        for name, parameter in self._model.named_parameters():
            if _name(rank) in name.split("."):
                yield parameter

    def _place(self, rank: int, device: torch.device | str) -> None:
        for parameter in self._parameters(rank):
            parameter.data = parameter.data.to(device)

    @contextmanager
    def _bare(self) -> Iterator[None]:
        """Put the base layers in the place of the adapter layers for a while."""
        found = [(name, layer) for name, layer in self._base.named_modules() if isinstance(layer, LoraLayer)]
        places = [(self._base.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]) for name, _ in found]
        try:
            for (parent, child), (_, layer) in zip(places, found, strict=True):
                setattr(parent, child, layer.get_base_layer())
            yield
        finally:
            for (parent, child), (_, layer) in zip(places, found, strict=True):
                setattr(parent, child, layer)


def _name(rank: int) -> str:
    return f"rank-{rank}"
