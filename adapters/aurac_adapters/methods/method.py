"""What all methods share: a method is a diagonal p between A and B, and nothing else.

Every method and every evaluation is the layer y = W0 x + B diag(p) A x, with p of R entries, R the maximal rank.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from aurac.errors import AdapterError, RankError, UnknownNameError
from aurac.fields import check_fields
from aurac.ranks import default_ranks
from aurac_adapters.methods.inference import Gram, find_rule, split_gain
from aurac_adapters.methods.scaling import SCALINGS

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig

Diagonal = npt.NDArray[np.float64]
Values = dict[str, npt.NDArray[np.float32]]
"""Name -> value of the parameters that a method learns itself."""


@dataclass(frozen=True)
class NestedMethod(ABC):
    """A way to train and use a nested adapter; subclasses say which diagonal they train with.

    Attributes:
        max_rank: R, the rank of the adapter.
        train_ranks: Sub-ranks S that training works on, the last one R (default: powers of two up to R, and R).
        scaling: Scaling rule s_r. A name in `SCALINGS`.
        gain: Factor c in front of the rule.
        seed: Of the rank sampling, where a method samples.
    """

    name: ClassVar[str]
    has_train_ranks: ClassVar[bool] = True
    trainable: ClassVar[bool] = True
    default_inference: ClassVar[str] = "prefix"
    """The inference rule of an adapter that was trained with this method."""
    in_docs: ClassVar[tuple[tuple[str, str, str], ...]] = ()
    """Rows of docs/methods.md, which is generated: options, p in optimizer step t, what the defaults are."""
    added_later: ClassVar[frozenset[str]] = frozenset()
    """Fields that older sidecars lack; there they had the value that is the default."""

    max_rank: int
    train_ranks: Sequence[int] = ()
    _: KW_ONLY
    scaling: str = field(default="one", metadata={"choices": lambda: tuple(SCALINGS), "called": "scaling rule"})
    gain: float = field(default=1.0, metadata={"metavar": "C"})
    seed: int = 42

    def __post_init__(self) -> None:
        """Check the values and make `train_ranks` a tuple."""
        object.__setattr__(self, "max_rank", check_rank(self.max_rank, what="max_rank"))
        given = tuple(self.train_ranks) or default_ranks(self.max_rank)
        ranks = tuple(check_rank(rank, self.max_rank, what="train rank") for rank in given)
        if list(ranks) != sorted(set(ranks)) or ranks[-1] != self.max_rank:
            raise RankError(
                f"train ranks {list(ranks)} must increase and end with max_rank {self.max_rank}; rows above the last "
                f"one would never be trained. Sort the list, with each rank once, and end it with {self.max_rank}."
            )
        if self.scaling not in SCALINGS:
            raise UnknownNameError("scaling rule", self.scaling, SCALINGS)
        if not (np.isfinite(self.gain) and self.gain > 0):
            raise AdapterError(f"gain {self.gain} is not a positive number. The default is 1.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)) or self.seed < 0:
            raise AdapterError(f"seed {self.seed!r} is not a whole number from 0.")
        object.__setattr__(self, "seed", int(self.seed))
        object.__setattr__(self, "gain", float(self.gain))
        object.__setattr__(self, "train_ranks", ranks)
        check_fields(self, leave_out=[entry.name for entry in fields(NestedMethod)])  # those of a method of its own

    def scale(self, rank: int) -> float:
        """Return s_r, the factor in front of a prefix of this rank.

        Raises:
            RankError: If the rank is not in 1..R.
        """
        check_rank(rank, self.max_rank)
        return self.gain * SCALINGS[self.scaling](rank)

    @property
    def description(self) -> str:
        """Name and train ranks in words."""
        noun = "rank" if len(self.train_ranks) == 1 else "ranks"
        return f"{self.name}, trained at {noun} {', '.join(map(str, self.train_ranks))}"

    @property
    def lora_alpha(self) -> float:
        """PEFT's `lora_alpha` of the full-rank adapter: s_R * R, so that PEFT's own scaling is s_R."""
        return self.scale(self.max_rank) * self.max_rank

    @abstractmethod
    def training_diagonal(self, step: int) -> Diagonal:
        """Return p during optimizer step `step` (0-based), shape (R,)."""

    @abstractmethod
    def kept_diagonal(self, rank: int) -> Diagonal:
        """Return p at a sub-rank when the trained diagonal is kept, shape (R,)."""

    def initial_parameters(self) -> Values:
        """Return name -> first value of what the method learns itself, beside A and B; nothing by default.

        A method that learns something overrides this and `learned_diagonal`, and computes its other diagonals from
        `parameters`.
        """
        return {}

    def learned_diagonal(self, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return p in training, shape (R,), as a function of the parameters that torch can differentiate."""
        raise NotImplementedError(f"{type(self).__name__} has initial_parameters, but no learned_diagonal")

    @property
    def parameters(self) -> Values:
        """Name -> value: what was learned, in a method that came from an adapter, else the first values."""
        learned: Values | None = self.__dict__.get("_learned")
        return self.initial_parameters() if learned is None else learned

    def with_parameters(self, values: Mapping[str, npt.NDArray[np.float32]]) -> Self:
        """Return the same method with these values learned.

        Raises:
            AdapterError: If names, shapes or values cannot be those of this method.
        """
        first = self.initial_parameters()
        if first.keys() != values.keys():
            raise AdapterError(
                f"method {self.name!r} learns {', '.join(first) or 'no parameters'}; given were "
                f"{', '.join(values) or 'none'}."
            )
        for name, value in values.items():
            if value.shape != first[name].shape or not np.isfinite(value).all():
                raise AdapterError(
                    f"{name} of method {self.name!r} has shape {value.shape}; it must have {first[name].shape}, and "
                    "hold finite numbers."
                )
        made = copy(self)
        object.__setattr__(made, "_learned", dict(values))  # not a field: settings are compared and stored, not values
        return made

    def mean_diagonal(self) -> Diagonal:
        """Return the mean of p over all steps, shape (R,); to be overridden where p depends on the step."""
        return self.training_diagonal(0)

    def gradient_mask(self, step: int) -> Diagonal | None:
        """Return 0/1 for each row of A and column of B that this step may change, shape (R,); None for all."""
        return None

    def row_diagonals(self, step: int, rows: Sequence[int]) -> Diagonal | None:
        """Return p for each row of the batch, shape (len(rows), R); None where all rows share `training_diagonal`.

        Args:
            step: Optimizer step, 0-based.
            rows: Positions of the rows in the whole batch of the step, over all processes and passes. A function of
                them does not depend on how the batch is shared out.
        """
        return None

    @property
    def draws_each_pass(self) -> bool:
        """Whether `step` counts the forward passes, so that each pass of a step has a diagonal of its own."""
        return False

    @property
    def draws_each_row(self) -> bool:
        """Whether the rows of a batch are trained with diagonals of their own."""
        return self.row_diagonals(0, (0,)) is not None

    def prefix_diagonal(self, rank: int) -> Diagonal:
        """Return s_r * 1[i <= r], shape (R,)."""
        return np.where(np.arange(1, self.max_rank + 1) <= rank, self.scale(rank), 0.0)

    def inference_diagonal(self, rank: int, inference: str = "prefix", *, gram: Gram | None = None) -> Diagonal:
        """Return p at a sub-rank, shape (R,).

        Args:
            rank: Sub-rank, 1..R.
            inference: A rule in `INFERENCES`, perhaps with a gain ("prefix-gain-4").
            gram: For rules that depend on the weights of a layer: the inner products of its rank-one terms, (R, R), or
                smaller for a layer of smaller rank.

        Raises:
            AdapterError: If the rule needs the weights and `gram` is missing.
        """
        rule = find_rule(inference)
        check_rank(rank, self.max_rank)
        if rule.by_layer and gram is None:
            raise AdapterError(
                f"the inference rule {inference!r} depends on the weights, so every layer has a diagonal of its own. "
                "Give the Gram matrix of a layer, or ask an adapter that has weights."
            )
        return split_gain(inference)[1] * rule.diagonal(self, rank, np.empty((0, 0)) if gram is None else gram)

    def lora_config(
        self,
        *,
        target_modules: str | Sequence[str] = "all-linear",
        lora_dropout: float = 0.0,
        task_type: str | None = "CAUSAL_LM",
        **options: Any,
    ) -> LoraConfig:
        """Return PEFT's configuration of the full-rank adapter; `options` are further ones of `LoraConfig`."""
        from peft import LoraConfig

        return LoraConfig(
            r=self.max_rank,
            lora_alpha=self.lora_alpha,  # a float survives PEFT's JSON and every server
            use_rslora=False,
            target_modules=target_modules if isinstance(target_modules, str) else list(target_modules),
            lora_dropout=lora_dropout,
            task_type=task_type,
            **options,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return name and attributes as a dictionary that JSON can hold.

        A field of `added_later` is left out at its default, so that what was written before it existed stays the same.
        """
        defaults = {field.name: field.default for field in fields(self)}
        values = {
            key: value for key, value in asdict(self).items() if key not in self.added_later or value != defaults[key]
        }
        return {"method": self.name, **values, "train_ranks": list(self.train_ranks)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the method that `to_dict` described.

        Raises:
            UnknownNameError: For a key that the method does not have.
            AdapterError: For a key that is missing, or not true or false where it must be.
            RankError: For ranks that make no method.
        """
        known = {field.name: field.default for field in fields(cls)}
        for key, value in values.items():
            if key not in known:
                raise UnknownNameError("key", key, known, of=f"of method {cls.name!r}")
            if isinstance(known[key], bool) and not isinstance(value, bool):
                raise AdapterError(f"{key} of method {cls.name!r} is {value!r}; it must be true or false.")
        if missing := known.keys() - values.keys() - cls.added_later:
            raise AdapterError(f"method {cls.name!r} lacks {', '.join(sorted(missing))}.")
        return cls(**values)


def check_rank(rank: int, max_rank: int | None = None, *, what: str = "rank") -> int:
    """Return the rank as Python's own int, or raise `RankError` unless it is a whole number from 1 to `max_rank`."""
    if isinstance(rank, bool) or not isinstance(rank, (int, np.integer)):
        raise RankError(f"{what} {rank!r} is not a whole number. Ranks count columns, from 1.")
    if rank < 1 or (max_rank is not None and rank > max_rank):
        allowed = "1 or more" if max_rank is None else f"1 to {max_rank}, the rank of this adapter"
        raise RankError(f"{what} {rank} is out of range; allowed: {allowed}.")
    return int(rank)
