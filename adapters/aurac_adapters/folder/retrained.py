"""The retrained grid: one plain LoRA trained for each rank, used as one adapter with a rank.

It is what a nested adapter replaces, at the cost of one training a rank: the reference that regret is measured against.
The folder holds `rank-1`, `rank-2`, `rank-4`, ... and nothing else is stored: each of them is an adapter folder.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from aurac.errors import AdapterError, RankError
from aurac_adapters.folder.folder import AdapterFolder, read_to_load
from aurac_adapters.folder.loading import load_read
from aurac_adapters.folder.sidecar import GRADUAL, START, Training
from aurac_adapters.layer.base_only import switch
from aurac_adapters.layer.nested import NestedAdapter

_RANK_FOLDER = re.compile(r"rank-([1-9]\d*)")


@dataclass(frozen=True, kw_only=True)
class RetrainedLora:
    """What the adapters of a grid have in common, as records store it.

    Attributes:
        max_rank: The largest rank.
        ranks: The ranks that were trained, increasing.
        scaling: Name of the scaling rule; each adapter has the factor of its own rank.
        gain: Factor in front of the rule.
        seed: Of the trainings.
        sha256_of_rank: Rank -> sha256 of that adapter's weights.
    """

    name: ClassVar[str] = "grid-lora"

    max_rank: int
    ranks: tuple[int, ...]
    scaling: str
    gain: float
    seed: int
    sha256_of_rank: dict[int, str]

    def to_dict(self) -> dict[str, Any]:
        """Return name and attributes as a dictionary that JSON can hold."""
        hashes = {str(rank): digest for rank, digest in self.sha256_of_rank.items()}
        return {"method": self.name, **vars(self), "ranks": list(self.ranks), "sha256_of_rank": hashes}


@dataclass(frozen=True, kw_only=True)
class SqueezedLora(RetrainedLora):
    """The same, of adapters that were truncated from a larger one and trained on (LoRA-Squeeze, arXiv 2602.10993)."""

    name: ClassVar[str] = "squeeze-lora"


@dataclass(frozen=True)
class RetrainedFolder:
    """A folder of adapters, one for each rank; has what the scoring asks of an `AdapterFolder`.

    Attributes:
        path: The folder.
        members: Rank -> adapter folder, increasing.
        method: What they have in common.
        sha256: One hash over the ranks and the hashes of their weights.
        inference: Always "full": every adapter is used at its own full rank.
        has_sidecar: Always true: adapters of other makers are refused.
    """

    path: Path
    members: dict[int, AdapterFolder]
    method: RetrainedLora
    sha256: str
    inference: str = "full"
    has_sidecar: bool = True

    @property
    def base_model(self) -> str | None:
        """Name or path of the base model, the same for all."""
        return next(iter(self.members.values())).base_model

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about the members."""
        return tuple(note for member in self.members.values() for note in member.notes)

    @property
    def config(self) -> dict[str, Any]:
        """What is asked for of PEFT's configuration, patterns of ranks, which none of them has."""
        return {}

    @property
    def training(self) -> Training:
        """What was not the default in training, the same for all; of squeezed ones, what the first began with.

        Ranks that were squeezed one from the other ("gradual") are another way than ranks from one adapter.
        """
        start = _first_start(self.members)
        among = {member.sha256 for member in self.members.values()}
        gradual = any(member.training.get(START) in among for member in self.members.values())
        return {
            **_alike(next(iter(self.members.values()))),
            **({} if start is None else {START: start}),
            **({GRADUAL: 1} if gradual else {}),
        }

    @property
    def own_ranks(self) -> tuple[int, ...]:
        """The ranks that it can be."""
        return tuple(self.members)


RankedFolder = AdapterFolder | RetrainedFolder
"""What can be scored at several ranks."""


class RetrainedAdapter:
    """A grid in one model: being rank r is having the adapter active that was trained at rank r.

    Attributes:
        model: The PEFT model that holds all of them.
        members: Rank -> handle.
    """

    def __init__(self, members: dict[int, NestedAdapter]) -> None:
        """Keep the handles of adapters in one model, and be the largest rank."""
        self.members = members
        self.model = next(iter(members.values())).model
        self.set_rank(self.max_rank)

    @property
    def max_rank(self) -> int:
        """The largest rank."""
        return max(self.members)

    def set_rank(self, rank: int) -> None:
        """Be rank `rank` from now on.

        Raises:
            RankError: If none was trained at this rank.
        """
        check_trained(rank, tuple(self.members))
        switch(self.model, to_base=False)
        self.model.set_adapter(self.members[rank].adapter_name, inference_mode=True)

    def set_base(self) -> None:
        """Be the base model from now on, until a rank is set."""
        switch(self.model, to_base=True)


def is_retrained(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a folder is no adapter itself but holds `rank-...` folders."""
    return Path(folder).is_dir() and not (Path(folder) / "adapter_config.json").exists() and bool(_ranks_in(folder))


def read_retrained(folder: str | os.PathLike[str]) -> RetrainedFolder:
    """Read a folder of adapters that were trained alike, each at the rank that its name says.

    Raises:
        AdapterError: If there is none, one of them cannot be used, has another rank than its name says or no sidecar,
            or they differ in method, base model, scaling or seed.
    """
    path = Path(folder)
    members = {rank: read_to_load(path / f"rank-{rank}") for rank in _ranks_in(folder)}
    if not members:
        raise AdapterError(f"{path} has no folders rank-1, rank-2, ... Train one LoRA for each rank into them.")
    for rank, member in members.items():
        _check_member(rank, member, next(iter(members.values())))
    _first_start(members)
    first = next(iter(members.values())).method
    digests = {rank: member.sha256 for rank, member in members.items()}
    whole = hashlib.sha256("".join(f"{rank}:{digest}\n" for rank, digest in digests.items()).encode()).hexdigest()
    squeezed = any(START in member.training for member in members.values())
    method = (SqueezedLora if squeezed else RetrainedLora)(
        max_rank=max(members),
        ranks=tuple(members),
        scaling=first.scaling,
        gain=first.gain,
        seed=first.seed,
        sha256_of_rank=digests,
    )
    return RetrainedFolder(path, members, method, whole)


def read_ranked(folder: str | os.PathLike[str]) -> RankedFolder:
    """Read an adapter folder, or a folder of retrained ones."""
    return read_retrained(folder) if is_retrained(folder) else read_to_load(folder)


def load_ranked(
    model: nn.Module, found: RankedFolder, *, inference: str | None = None
) -> NestedAdapter | RetrainedAdapter:
    """Load what `read_ranked` found onto its base model.

    Args:
        model: The base model.
        found: A folder as read.
        inference: A rule in `INFERENCES`, perhaps with a gain; by default what the folder says.

    Raises:
        AdapterError: If an adapter belongs to another base model, or a grid is given an inference rule.
    """
    if isinstance(found, AdapterFolder):
        return load_read(model, found, found.take_tensors(), inference=inference)
    if inference is not None:
        raise AdapterError(
            f"{found.path} holds one adapter for each rank, used at its full rank; the inference rule {inference!r} "
            "has no meaning there. Leave it out."
        )
    handles: dict[int, NestedAdapter] = {}
    for rank, member in found.members.items():
        handles[rank] = load_read(model, member, member.take_tensors(), f"rank-{rank}")
        model = handles[rank].model
    return RetrainedAdapter(handles)


def check_trained(rank: int, ranks: tuple[int, ...]) -> None:
    """Raise `RankError` unless an adapter was trained at this rank."""
    if rank not in ranks:
        listed = ", ".join(str(known) for known in ranks)
        raise RankError(f"no adapter was trained at rank {rank}; trained: {listed}. Ask for these, or train that one.")


def _ranks_in(folder: str | os.PathLike[str]) -> list[int]:
    names = (_RANK_FOLDER.fullmatch(path.name) for path in Path(folder).glob("rank-*") if path.is_dir())
    return sorted(int(match[1]) for match in names if match)


def _alike(member: AdapterFolder) -> dict[str, str | float]:
    """Return what was not the default in training, without what the training began with."""
    return {key: value for key, value in member.training.items() if key != START}


def _first_start(members: Mapping[int, AdapterFolder]) -> str | None:
    """Return the hash of the adapter that all squeezed ones go back to; None where none is squeezed.

    Raises:
        AdapterError: If there are several, or some were trained from the base model.
    """
    if not any(START in member.training for member in members.values()):
        return None
    among = {member.sha256 for member in members.values()}
    origins = {
        rank: str(member.training.get(START, member.sha256))
        for rank, member in members.items()
        if member.training.get(START) not in among
    }
    first = origins[max(origins)]
    for rank, origin in origins.items():
        if origin != first:
            raise AdapterError(
                f"{members[rank].path} and {members[max(origins)].path} go back to different first trainings. Squeeze "
                "all adapters of a folder from one."
            )
    return first


def _check_member(rank: int, member: AdapterFolder, first: AdapterFolder) -> None:
    if member.method.max_rank != rank:
        raise AdapterError(f"{member.path} holds an adapter of rank {member.method.max_rank}. Rename its folder.")
    if not member.has_sidecar or member.method.name != "lora":
        made = f"of method {member.method.name}" if member.has_sidecar else "without a sidecar"
        raise AdapterError(f"{member.path} is an adapter {made}; a grid holds plain LoRAs that `aurac train` made.")
    for what in ("scaling", "gain", "seed"):
        mine, others = getattr(member.method, what), getattr(first.method, what)
        if mine != others:
            raise AdapterError(
                f"{member.path} has {what} {mine}, {first.path} has {others}. Train all adapters of a grid alike."
            )
    mine, others = _alike(member), _alike(first)
    if mine != others:
        raise AdapterError(
            f"{member.path} was trained with {mine or 'the defaults'}, {first.path} with {others or 'the defaults'}. "
            "Train all adapters of a grid alike."
        )
    if member.base_model != first.base_model:
        raise AdapterError(
            f"{member.path} has the base model {member.base_model}, {first.path} has {first.base_model}. Train all "
            "adapters of a grid on one."
        )
