"""Which of a server's models is which rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from aurac.errors import OptionError
from aurac.harness.server.client import Client, ServerError

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
    """

    name: str
    parent: str | None
    root: str | None
    window: int | None
    software: str


def read_models(client: Client) -> dict[str, Served]:
    """Return name -> model of everything that the server lists.

    Raises:
        ServerError: If nothing answers there, or what answers is no such server.
    """
    try:
        listed = client.get("/models", attempts=2)
        return {entry["id"]: _served(entry) for entry in listed["data"]}
    except (KeyError, TypeError, AttributeError):
        raise ServerError(
            f"{client.url}/models lists no models: no OpenAI-compatible server is there. {_UP_TO}"
        ) from None
    except ServerError as exc:
        advice = f" {_UP_TO}" if "(404)" in str(exc) else ""
        raise ServerError(f"{client.url}: {exc}{advice}") from None


_UP_TO = "Give its address up to /v1 with --url."


def _served(entry: Mapping[str, Any]) -> Served:
    window = entry.get("max_model_len") or (entry.get("meta") or {}).get("n_ctx_train")
    return Served(
        str(entry["id"]), entry.get("parent"), entry.get("root"), window, str(entry.get("owned_by", "")).lower()
    )


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

    Folders are compared by their last part: a server's disk is another one. Names can lie; `--verify` does not.
    """
    ours = {PurePath(name).name.lower() for name in wanted if name}
    for name in names:
        parent = models[name].parent
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
