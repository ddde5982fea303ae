"""Adapters of other PEFT methods (LoHa, LoKr, VeRA, MiSS, AdaLoRA and others) become a LoRA, checked against them.

A layer whose update is a matrix dW has a LoRA that is the same function: the singular value decomposition of dW, of
which every prefix is the best LoRA of its rank (Eckart and Young 1936). PEFT computes dW and its decomposition.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.nn.functional import pad

from aurac.errors import AdapterError
from aurac_adapters.base.model import load_model
from aurac_adapters.export.cards import method_card
from aurac_adapters.export.convert import target_names
from aurac_adapters.export.rotation import rotate
from aurac_adapters.folder.loading import check_complete
from aurac_adapters.folder.sidecar import CONFIG, WEIGHTS, read_json
from aurac_adapters.folder.writing import check_new, write_folder
from aurac_adapters.layer.config import check_config
from aurac_adapters.layer.keys import PREFIX
from aurac_adapters.layer.peft_methods import CONVERTIBLE, way_out
from aurac_adapters.methods.method import check_rank
from aurac_adapters.methods.svd_lora import SvdLora

Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""Name of a layer in the PEFT model -> A (r, in) and B (out, r) of its update, the scale folded in."""
_EVERYTHING = 1.0
"""Share of the squared singular values that PEFT is to keep: all that float32 can tell from 0."""
_EXACT = 2e-3
"""Most by which factors of full rank may differ from the layer, relative to its update; PEFT works in float32."""


@dataclass(frozen=True)
class Converted:
    """What came out of a conversion.

    Attributes:
        path: The folder.
        rank: Of the LoRA.
        full_rank: The smallest rank at which nothing is lost.
        lost: Relative error of the update, Frobenius norm over all layers; 0 at the full rank.
        error: Largest relative difference of a layer's factors of full rank from the layer itself, on random inputs.
    """

    path: Path
    rank: int
    full_rank: int
    lost: float
    error: float


def convert_method(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    base: str | None = None,
    rank: int | None = None,
    trust_remote_code: bool = False,
    progress: bool = False,
) -> Converted:
    """Write an adapter of another PEFT method as a LoRA folder, whose every prefix is the best of its rank.

    Args:
        folder: An adapter folder of a type in `aurac_adapters.layer.peft_methods.CONVERTIBLE`.
        out: Where to; must not exist, or be empty.
        base: Base model, folder or hub name; loaded in float32. By default what the folder says.
        rank: Of the LoRA; by default the smallest one that loses nothing.
        trust_remote_code: Whether code that comes with the model may run.
        progress: Whether to show a bar; PEFT decomposes every layer, which takes minutes for large models.

    Raises:
        AdapterError: If the folder is a LoRA already, of a type that is no LoRA, incomplete, does nothing, or if the
            factors are not the layer's function; or `out` holds something.
        RankError: If `rank` is larger than the full rank.
        ModelError: If there is no such base model.
    """
    path, target = Path(folder), Path(out)
    check_new(target)
    config = _read_config(path)
    name = base or config.get("base_model_name_or_path")
    if not name:
        raise AdapterError(f"{path} does not name its base model. Give it with --base.")
    model = _load(path, name, trust_remote_code=trust_remote_code)
    modules = [module for module, _ in model.get_base_model().named_modules()]
    factors, others = _factors(model, progress=progress)
    error = _check_function(model, factors, path)
    ordered = {layer: rotate(a.double(), b.double()) for layer, (a, b) in factors.items()}
    full = max(_numeric_rank(b) for _, b in ordered.values())
    method = SvdLora(max_rank=check_rank(rank or full, full))
    tensors, lost = _tensors(ordered, method.max_rank)
    targets = target_names([layer.removeprefix(PREFIX) for layer in factors], _without_adapters(modules))
    settings: dict[str, Any] = method.lora_config(target_modules=targets, task_type=config.get("task_type")).to_dict()
    settings |= {"target_modules": targets, "base_model_name_or_path": name, "revision": config.get("revision")}
    settings |= {"modules_to_save": config.get("modules_to_save") if others else None}
    card = method_card(path, config["peft_type"], method, name, lost=lost)
    write_folder(settings, tensors | others, target, method=method, card=card)
    return Converted(target, method.max_rank, full, lost, error)


def _read_config(path: Path) -> dict[str, Any]:
    if not (path / CONFIG).is_file():
        raise AdapterError(
            f"{path} is no PEFT adapter: it has no {CONFIG}. Give a checkpoint file or an adapter folder."
        )
    config = read_json(path / CONFIG)
    if (kind := config.get("peft_type")) not in CONVERTIBLE:
        if kind == "LORA":
            check_config(config, path / CONFIG)
            raise AdapterError(
                f"{path} is a LoRA already: it needs no conversion. Score or slice it, or order its ranks with aurac "
                "rotate."
            )
        raise AdapterError(f"{path} is of type {kind!r}. {way_out(kind)}")
    if not (path / WEIGHTS).is_file():
        raise AdapterError(f"{path} has no {WEIGHTS}. Save the adapter with safetensors.")
    return config


def _load(path: Path, base: str, *, trust_remote_code: bool) -> Any:
    """Return the PEFT model, after checking that PEFT found every tensor and left none out."""
    from peft import PeftModel

    model = load_model(base, dtype=torch.float32, trust_remote_code=trust_remote_code)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found missing adapter keys")  # an error, below
        # PEFT looks AdaLoRA's budget up by layer and warns that the names are those of E.
        warnings.filterwarnings("ignore", message="The following rank_pattern keys did not match any targeted module")
        try:
            adapted = PeftModel.from_pretrained(model, path, torch_device="cpu").eval()
        except Exception as exc:  # a stranger's configuration fails in many ways
            reason = " ".join(str(exc).split())
            raise AdapterError(f"PEFT cannot load {path} onto this base model: {reason:.300}") from exc
    check_complete(adapted, load_file(path / WEIGHTS), path / WEIGHTS, "default")
    return adapted


def _factors(model: Any, *, progress: bool) -> tuple[Factors, dict[str, torch.Tensor]]:
    """Return the factors of every layer, and the tensors of modules that were trained whole."""
    if str(model.peft_config["default"].peft_type.value) == "ADALORA":
        return _adalora(model), {}
    from peft import convert_to_lora

    _, state = convert_to_lora(model, rank=_EVERYTHING, progressbar=progress)
    ends = (".lora_A.weight", ".lora_B.weight")
    layers = [key.removesuffix(ends[0]) for key in state if key.endswith(ends[0])]
    others = {key: tensor.contiguous() for key, tensor in state.items() if not key.endswith(ends)}
    return {layer: (state[layer + ends[0]], state[layer + ends[1]]) for layer in layers}, others


def _adalora(model: Any) -> Factors:
    """Fold E, the scale and the number of ranks into B: dW = B diag(E) A alpha / (r + 1e-5), as PEFT computes it."""
    found: Factors = {}
    for name, layer in model.named_modules():
        if "default" in getattr(layer, "lora_E", {}):
            a, b, e = (getattr(layer, part)["default"].detach() for part in ("lora_A", "lora_B", "lora_E"))
            scale = layer.scaling["default"] / (float(layer.ranknum["default"]) + 1e-5)
            found[name] = (a, b * e.T * scale)  # (r, in), (out, r)
    return found


def _check_function(model: Any, factors: Factors, path: Path) -> float:
    """Raise `AdapterError` unless the factors do what the layers do; returns the largest relative difference."""
    generator = torch.Generator().manual_seed(0)
    worst, alive = 0.0, False
    for name, (a, b) in factors.items():
        layer = model.get_submodule(name)
        x = torch.randn(16, a.shape[1], generator=generator)
        with torch.no_grad(), _adapter_off(layer) as base:
            before = base(x)
        with torch.no_grad():
            update = layer(x) - before
            difference = (update - x @ a.float().T @ b.float().T).norm()
        noise = 1e-6 * before.norm()  # the update is a difference of float32 numbers of this size
        alive = alive or bool(update.norm() > noise)
        error = float((difference - noise).clamp_min(0) / update.norm().clamp_min(1e-30))
        worst = max(worst, error)
        if error > _EXACT:
            raise AdapterError(
                f"{path}: the LoRA that PEFT makes of layer {name.removeprefix(PREFIX)} is off by {error:.2g} of its "
                "update, so it is another function. It is not written."
            )
    if not alive:
        raise AdapterError(
            f"{path}: all updates are 0, so the adapter does nothing; it was not trained. Train it first."
        )
    return worst


@contextmanager
def _adapter_off(layer: Any) -> Iterator[Any]:
    """Yield the layer as the base model has it."""
    layer.enable_adapters(False)
    try:
        yield layer
    finally:
        layer.enable_adapters(True)


def _numeric_rank(b: torch.Tensor) -> int:
    """Return how many columns of a rotated B, (out, r), are more than rounding; at least 1."""
    values = b.norm(dim=0) ** 2  # singular values: each factor carries the square root
    return max(1, int((values > 1e-6 * values.max()).sum()))


def _tensors(ordered: Factors, rank: int) -> tuple[dict[str, torch.Tensor], float]:
    """Return the tensors at this rank, and what is lost of the update, relative."""
    found: dict[str, torch.Tensor] = {}
    lost = whole = 0.0
    for layer, (a, b) in ordered.items():
        values = (b.norm(dim=0) * a.norm(dim=1)) ** 2  # squared singular values
        lost, whole = lost + float(values[rank:].sum()), whole + float(values.sum())
        missing = max(rank - len(a), 0)
        found[f"{layer}.lora_A.weight"] = pad(a[:rank], (0, 0, 0, missing)).float().contiguous()
        found[f"{layer}.lora_B.weight"] = pad(b[:, :rank], (0, missing)).float().contiguous()
    return found, (lost / whole) ** 0.5


def _without_adapters(modules: list[str]) -> set[str]:
    """Return the names that the base model's modules have without an adapter in them."""
    return {name.removesuffix(".base_layer") for name in modules}
