"""What transformers is asked for a base model, by a training, an export and a scoring alike.

Who asks says how a failure reads: `explain(name, exception)` returns the error, since the remedies differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aurac.errors import AuracError, ModelError

Explain = Callable[[str, Exception], ModelError]


def read_config(name: str, explain: Explain, *, trust_remote_code: bool = False) -> Any:
    """Return the config of a base model: a folder, or a name on the hub."""
    from transformers import AutoConfig

    with _explained(name, explain):
        return AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)


def read_tokenizer(name: str, explain: Explain, *, trust_remote_code: bool = False) -> Any:
    """Return the tokenizer of a base model, or the one that a trainer saved beside an adapter."""
    from transformers import AutoTokenizer

    with _explained(name, explain, adapter=(Path(name) / "tokenizer_config.json").is_file()):
        return AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)


def read_model(name: str, explain: Explain, *, trust_remote_code: bool = False, **options: Any) -> Any:
    """Return a language model; weights must be safetensors, since a pickle can run code when it is read.

    Args:
        name: A folder, or a name on the hub.
        explain: Returns the error for what transformers raises.
        trust_remote_code: Whether code that comes with the model may run.
        options: Of `AutoModelForCausalLM.from_pretrained`: `dtype`, `config`, `quantization_config`. With the `config`
            of an encoder-decoder model, that is what is returned.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    both = getattr(options.get("config"), "is_encoder_decoder", False)
    with _explained(name, explain):
        return (AutoModelForSeq2SeqLM if both else AutoModelForCausalLM).from_pretrained(
            name, use_safetensors=True, trust_remote_code=trust_remote_code, **options
        )


def check_no_adapter(name: str) -> None:
    """Raise `ModelError` for a folder that holds an adapter: transformers would load that too, or another base.

    Args:
        name: A folder or a name on the hub, where nothing is looked at.
    """
    if (Path(name) / "adapter_config.json").is_file():
        both = (Path(name) / "config.json").is_file()
        raise ModelError(
            f"{name} holds {'a base model and ' if both else ''}an adapter (adapter_config.json), which transformers "
            f"would {'load on top of it' if both else 'take for a model'}. "
            f"{'Move the adapter to a folder of its own' if both else 'Give the base model of the adapter'}, and name "
            "the base with --base."
        )


def check_folder(name: str) -> None:
    """Raise `ModelError` for what is written as a path and is no folder; transformers would look for it on the hub."""
    if (name.count("/") > 1 or name.startswith(("/", "."))) and not Path(name).is_dir():
        raise ModelError(f"no such base model folder: {name}. Give a folder, or a hub name like organisation/model.")


@contextmanager
def _explained(name: str, explain: Explain, *, adapter: bool = False) -> Iterator[None]:
    """Turn what transformers raises into the error of who asks; `adapter`: whether the folder may hold one."""
    if not adapter:
        check_no_adapter(name)
    try:
        yield
    except AuracError:
        raise
    except Exception as exc:  # a broken folder fails in many ways
        raise explain(name, exc) from exc
