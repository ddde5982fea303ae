"""Which of a server's models is which rank."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from aurac.errors import OptionError
from aurac.harness.server.client import Client, ServerError

LLAMACPP = "llamacpp"
RANK = "{rank}"
DEFAULT = "r{rank}"
_MOST_NAMES = 12


@dataclass(frozen=True)
class Served:
    """A model that a server lists.

    Attributes:
        name: What requests call it.
        parent: Name of its base model, for a LoRA; None for a base model, or where the server does not say.
        root: Folder or name that it was loaded from, where the server says.
        window: Tokens that fit into prompt and answer together, where the server says.
        software: "vllm", "sglang", "llamacpp" ...
        also: What a request for it holds besides its name.
    """

    name: str
    parent: str | None
    root: str | None
    window: int | None
    software: str
    also: Mapping[str, Any] = field(default_factory=dict)


def read_models(client: Client) -> dict[str, Served]:
    """Return name -> model of everything that the server lists.

    Raises:
        ServerError: If nothing answers there, or what answers is no such server.
    """
    try:
        listed = client.get("/models", attempts=2)
        models = [_served(entry) for entry in listed["data"]]
        if len(models) == 1 and models[0].software == LLAMACPP:
            models = _of_llamacpp(client, models[0])
        return {model.name: model for model in models}
    except (KeyError, TypeError, AttributeError):
        raise ServerError(
            f"{client.url}/models lists no models: no OpenAI-compatible server is there. {_UP_TO}"
        ) from None
    except ServerError as exc:
        advice = f" {_UP_TO}" if "(404)" in str(exc) else ""
        raise ServerError(f"{client.url}: {exc}{advice}") from None


_UP_TO = "Give its address up to /v1 with --url."


def _served(entry: Mapping[str, Any]) -> Served:
    about = entry.get("meta") or {}
    window = entry.get("max_model_len") or about.get("n_ctx") or about.get("n_ctx_train")
    return Served(
        str(entry["id"]), entry.get("parent"), entry.get("root"), window, str(entry.get("owned_by", "")).lower()
    )


def _of_llamacpp(client: Client, base: Served) -> list[Served]:
    """Return a llama.cpp server's base model and its LoRAs, which have the names of their files.

    It lists the base model alone, and applies the LoRAs that a request gives a scale; all of them where it gives none.
    Its cache of prompts does not ask which LoRA a prefix was computed with, so nothing is taken from there.
    """
    loras = json.loads(client.text("/lora-adapters") or "[]")
    if not loras:
        return [base]

    def only(number: int | None) -> dict[str, Any]:
        scales = [{"id": lora["id"], "scale": float(lora["id"] == number)} for lora in loras]
        return {"lora": scales, "cache_prompt": False}

    ranks = [
        Served(PurePath(lora["path"]).stem, base.name, lora["path"], base.window, base.software, only(lora["id"]))
        for lora in loras
    ]
    return [replace(base, also=only(None)), *ranks]


def check_pattern(pattern: str) -> str:
    """Return the pattern of names, or raise `OptionError` for one without a place for the rank."""
    if RANK not in pattern:
        raise OptionError(f"--served-name {pattern!r} has no {RANK}. Write where the rank stands, such as r{RANK}.")
    return pattern


def names_of(pattern: str, ranks: Sequence[int], models: Mapping[str, Served]) -> dict[int, str]:
    """Return rank -> name, or raise `ServerError` with the ranks that are not served."""
    names = {rank: pattern.replace(RANK, str(rank)) for rank in ranks}
    if missing := [rank for rank, name in names.items() if name not in models]:
        which = ", ".join(f"{rank} ({names[rank]})" for rank in missing)
        raise ServerError(
            f"the server does not serve rank{'s' if len(missing) > 1 else ''} {which}; it serves {_listed(models)}. "
            "Correct --served-name or --ranks, or let the ranks be loaded with --load-ranks."
        )
    return names


def base_name(pattern: str, models: Mapping[str, Served], taken: Sequence[str]) -> str:
    """Return the name of the base model alone: what the pattern calls rank 0, else the only model that is no LoRA.

    Raises:
        ServerError: If that is not clear.
    """
    if (zero := pattern.replace(RANK, "0")) in models:
        return zero
    bases = [model for model in models.values() if model.parent is None and model.name not in taken]
    if len({model.root or model.name for model in bases}) != 1:
        raise ServerError(
            f"the server does not say which of {_listed(models)} is the base model alone. Serve it as {zero}, or leave "
            "rank 0 out with --no-base."
        )
    return bases[0].name


def check_base(models: Mapping[str, Served], names: Sequence[str], wanted: Sequence[str | None]) -> None:
    """Raise `ServerError` if what the server says of its base model has another name than ours.

    Folders are compared by their last part: a server's disk is another one. Names can lie; `--verify` does not. The
    name of a llama.cpp server's file says nothing.
    """
    ours = {PurePath(name).name.lower() for name in wanted if name}
    for name in names:
        parent = None if models[name].software == LLAMACPP else models[name].parent
        said = models[parent].root or parent if parent is not None and parent in models else parent
        if said is not None and ours and PurePath(said).name.lower() not in ours:
            raise ServerError(
                f"the server's {name} stands on the base model {said}, the adapter on {wanted[0]}. Give --verify, "
                "which compares numbers instead of names, or serve it on the right one."
            )


def _listed(models: Mapping[str, Served]) -> str:
    names = list(models)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return (", ".join(names[:_MOST_NAMES]) + more) or "nothing"
