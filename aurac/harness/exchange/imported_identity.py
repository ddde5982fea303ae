"""Which run it was that lm-eval wrote down: the same settings at every rank, and where the numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from os.path import normpath
from typing import Any

from aurac.errors import RecordError
from aurac.harness.exchange.lm_eval_output import ResultsFile

_BASE = "base model"
_SAME = ("model", "model_dtype", "fewshot_seed", "limit")
"""Keys of lm-eval's `config` that have to be equal at every rank."""
_NAMES = ("pretrained", "model", "path", "delta", "revision", "subfolder", "gguf_file", "base_url")
_PARTS_OF_NAMES = ("peft", "lora", "adapter", "rank")
"""Arguments of lm-eval's models that say which weights are evaluated, and what the names of others have in them."""
_SAME_PROMPTS = ("chat_template_sha", "system_instruction", "fewshot_as_multiturn")
"""Likewise, of the results themselves."""


def identity_of(files: Sequence[ResultsFile], adapter: Mapping[str, Any], base: str | None) -> dict[str, Any]:
    """Return the identity of the run, after checking that all ranks were measured alike.

    Args:
        files: All results files.
        adapter: What is known of the adapter.
        base: The base model, where lm_eval was given merged weights and cannot know it.
    """
    _refuse_the_same_weights(files)
    said = [_settings(file) | ({} if base is None else {_BASE: base}) for file in files]
    for file, settings in zip(files, said, strict=True):
        for key, value in said[0].items():
            if settings[key] != value:
                merged = " If these are merged weights, name their base model with --base." if key == _BASE else ""
                raise RecordError(
                    f"{key} is {value!r} at rank {files[0].rank} and {settings[key]!r} at rank {file.rank} "
                    f"({file.path}). Run lm_eval at every rank with the same settings.{merged}"
                )
    s = said[0]
    return {
        "adapter": dict(adapter),
        "base": {"name_or_path": s[_BASE]},
        "dtype": None if s["model_dtype"] is None else str(s["model_dtype"]).removeprefix("torch."),
        "engine": f"lm-eval {s['model']}",
        "fewshot_seed": s["fewshot_seed"],
        "limit": s["limit"],
        **_chat(s),
    }


def _chat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what wraps the prompts, as `aurac.harness.chat.Chat` does."""
    system = {"system_instruction": settings["system_instruction"]}
    if settings["chat_template_sha"]:
        turns = {"fewshot_as_multiturn": settings["fewshot_as_multiturn"]}
        return {"chat_template_sha256": settings["chat_template_sha"], **system, **turns}
    return system if settings["system_instruction"] is not None else {}


def _refuse_the_same_weights(files: Sequence[ResultsFile]) -> None:
    """Raise `RecordError` if two ranks were measured with the same model and adapter, by what lm-eval was given."""
    first: dict[tuple[tuple[str, str], ...], ResultsFile] = {}
    for file in files:
        weights = _weights(file)
        if not weights or "exported_by" in file.content:  # nothing is named, or it was our own sweep of one adapter
            continue
        other = first.setdefault(weights, file)
        if other.rank != file.rank:
            shown = ", ".join(f"{name}={value}" for name, value in weights)
            raise RecordError(
                f"rank {other.rank} and rank {file.rank} are results of the same weights, {shown} ({other.path} and "
                f"{file.path}). Give each rank the results of its own adapter, or leave one of them out."
            )


def _weights(file: ResultsFile) -> tuple[tuple[str, str], ...]:
    """Return the arguments that name what was evaluated, paths written one way; empty where lm-eval had an object."""
    named = {
        name: normpath(str(value))
        for name, value in _arguments(file).items()
        if value and (name in _NAMES or any(part in name for part in _PARTS_OF_NAMES))
    }
    return tuple(sorted(named.items())) if named.keys() & {"pretrained", "model", "path"} else ()


def _arguments(file: ResultsFile) -> dict[str, Any]:
    arguments = file.content["config"].get("model_args") or {}
    if isinstance(arguments, str):
        return dict(part.partition("=")[::2] for part in arguments.split(","))
    return dict(arguments)


def _settings(file: ResultsFile) -> dict[str, Any]:
    config, arguments = file.content["config"], _arguments(file)
    return {
        _BASE: arguments.get("pretrained") or arguments.get("model"),  # model_name is the adapter's
        **{key: config.get(key) for key in _SAME},
        **{key: file.content.get(key) for key in _SAME_PROMPTS},
    }


def origin_of(files: Sequence[ResultsFile]) -> dict[str, Any]:
    """Return what the record keeps of where its numbers come from; the machine is not known."""
    first = files[0].content
    versions = {"aurac": version("aurac"), "lm_eval": first.get("lm_eval_version")}
    if first.get("transformers_version"):
        versions["transformers"] = first["transformers_version"]
    imported = [
        {
            "rank": file.rank,
            "file": file.path.name,
            "date": file.content.get("date"),
            "git_hash": file.content.get("git_hash"),
        }
        for file in files
    ]
    return {"versions": versions, "hardware": {}, "imported": {"from": "lm-eval", "results": imported}}
