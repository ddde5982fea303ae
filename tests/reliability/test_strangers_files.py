"""Files of strangers: whatever is in them, the answer is an adapter, a record, or one of the project's errors."""

from __future__ import annotations

import json
import resource
import shutil
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from pickle import dumps, loads
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapter_by_peft import TASKS
from aurac import testbed
from aurac.errors import AdapterError
from aurac_adapters import read_adapter
from fuzzing import Fuzzed, fuzz_adapters, fuzz_records
from records_by_hand import make_cell, write

Call = Callable[..., Any]


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """A folder of another maker with patterns, and one with a sidecar."""
    from aurac_adapters import MatryoshkaLora
    from aurac_adapters.folder.sidecar import write_sidecar_of

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    layers = [f"base_model.model.model.layers.{i}.self_attn.{name}" for i in (0, 1) for name in ("q_proj", "v_proj")]
    shapes = {"lora_A": (4, 8), "lora_B": (8, 4)}
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"{layer}.{f}.weight": torch.randn(s, generator=generator) for layer in layers for f, s in shapes.items()
    }
    save_file(tensors, foreign / "adapter_model.safetensors", metadata={"format": "pt"})
    method = MatryoshkaLora(max_rank=4)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "some/model",
        "revision": None,
        "r": 4,
        "lora_alpha": method.lora_alpha,
        "use_rslora": False,
        "use_dora": False,
        "lora_bias": False,
        "target_modules": ["q_proj", "v_proj"],
        "rank_pattern": {},
        "alpha_pattern": {},
        "init_lora_weights": True,
        "auto_mapping": None,
        "inference_mode": True,
    }
    (foreign / "adapter_config.json").write_text(json.dumps(config))
    own = shutil.copytree(foreign, tmp_path / "own")
    write_sidecar_of(method, "prefix", own)
    patterns = {"rank_pattern": {"layers.0.self_attn.q_proj": 4}, "alpha_pattern": {r"model\..*v_proj": 8}}
    (foreign / "adapter_config.json").write_text(json.dumps(config | patterns))
    return [foreign, own]


@pytest.fixture
def records(tmp_path: Path) -> list[Path]:
    cells = [make_cell(task, rank, [rank % 2, 1, 0]) for task in ("a", "b") for rank in (1, 2, 4)]
    failed = make_cell("c", 1, [], error="overflow")
    groups = {"g": {"members": ["a", "b"], "metrics": {"acc": {"weight_by_size": True, "filters": None}}, "version": 1}}
    asked = {"a": {"task": "a", "metric": "acc", "filter": None}, "g": {"task": "g"}, "c": {"task": "c"}}
    return [write(tmp_path / "record", [*cells, failed], groups=groups, asked=asked)]


def check(found: Fuzzed, inputs: int, record_property: Callable[[str, object], None]) -> None:
    record_property("faults", found.inputs)
    assert found.escaped == []
    assert found.inputs == inputs
    assert found.outcomes["read"] < 0.7 * inputs  # most of the damage is damage
    assert found.slowest < 5
    assert found.grown < 200 * 2**20


@pytest.mark.parametrize(("inputs", "seed"), [(1_400, 1), pytest.param(80_000, 2, marks=pytest.mark.slow)])
def test_a_damaged_adapter_folder_is_read_or_refused(
    inputs: int, seed: int, folders: list[Path], record_property: Any
) -> None:
    check(fuzz_adapters(folders, inputs=inputs, seed=seed), inputs, record_property)


@pytest.mark.parametrize(("inputs", "seed"), [(600, 1), pytest.param(20_000, 2, marks=pytest.mark.slow)])
def test_a_damaged_record_is_read_or_refused(inputs: int, seed: int, records: list[Path], record_property: Any) -> None:
    check(fuzz_records(records, inputs=inputs, seed=seed), inputs, record_property)


def edit(folder: Path, **changes: object) -> Path:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


BOMBS = [
    *(r"(\w|\.)*!", r"(\w+\.?)+!", "(a|a){30}!", ".*" * 7 + "!", "a" * 2001),
    "(.*|x)" * 20 + "!",  # one repetition between two bars
    "(s|.)" * 40 + "!",  # 2 ** 40 ways without any repetition
    ".?" * 40 + "!",
    "(?:.|..|...)" * 20 + "!",
    "(?x) (?: . * ) *!",  # blanks between a group and what repeats it
    "[*]" + "[^]]*" * 9 + "!",
]


@pytest.mark.parametrize("option", ["target_modules", "exclude_modules", "layers_pattern", "rank_pattern"])
@pytest.mark.parametrize("pattern", BOMBS)
def test_an_expression_that_could_take_for_ever_is_refused_before_it_is_matched(
    option: str, pattern: str, folders: list[Path]
) -> None:
    check_bomb(option, {pattern: 4} if option == "rank_pattern" else pattern, folders[0])


@pytest.mark.parametrize("option", ["layers_pattern", "modules_to_save"])
@pytest.mark.parametrize("pattern", BOMBS)
def test_peft_reads_these_lists_as_expressions_too(option: str, pattern: str, folders: list[Path]) -> None:
    check_bomb(option, ["head", pattern], folders[0])


def check_bomb(option: str, value: object, folder: Path) -> None:
    edit(folder, **{option: value})
    started = time.perf_counter()
    with pytest.raises(AdapterError, match=rf"matching {option} .* could take for ever: it repeats a group"):
        read_adapter(folder)
    assert time.perf_counter() - started < 1


def test_a_long_name_does_not_make_a_short_expression_take_for_ever(folders: list[Path]) -> None:
    edit(folders[0], rank_pattern={".*s.*s.*s!": 4})
    file = folders[0] / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors |= {f"base_model.model.{'s' * 5000}.lora_{f}.weight": torch.ones(4, 4) for f in "AB"}
    save_file(tensors, file)
    started = time.perf_counter()
    with pytest.raises(
        AdapterError, match=r"matching rank_pattern with 5 layers, whose names have up to 5017 characters"
    ):
        read_adapter(folders[0])
    assert time.perf_counter() - started < 1


def test_a_rank_for_each_layer_of_a_large_model_is_accepted() -> None:
    from aurac_adapters.layer.config import check_lookup

    layers = [f"base_model.model.model.layers.{i}.self_attn.{name}_proj" for i in range(80) for name in "qkvogud"]
    check_lookup({"rank_pattern": {layer.removeprefix("base_model.model."): 4 for layer in layers}}, layers, "here")
    check_lookup({"rank_pattern": {r".*layers.*self_attn.*proj": 4}}, layers, "here")


@pytest.mark.parametrize(
    "pattern",
    [
        r".*decoder.*(SelfAttention|EncDecAttention).*(q|v)$",
        r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp).*?(?:k_proj|v_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:mlp)\.(?:(?:up_proj)))",
        r"model\.layers\.(0|1)\.self_attn\.q_proj",
        r"a\)*b",
        r"model\.layers\.(0|1|2|10|11|12)\.(?:self_attn|mlp)\.(?:q|k|v|o|gate|up|down)_proj",
        r"^(?!.*vision).*\.(to_[qkv]|to_out\.0)$",
        r"(?i).*ATTN\.(q_proj|v_proj)",
        r"[\]*+(]q",
    ],
)
def test_expressions_that_are_in_use_are_accepted(pattern: str) -> None:
    from aurac_adapters.layer.config import check_config

    check_config({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": pattern}, "here")


def test_what_is_no_expression_is_named(folders: list[Path]) -> None:
    with pytest.raises(AdapterError, match=r"target_modules \( is no regular expression: missing \)"):
        read_adapter(edit(folders[0], target_modules="("))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_model_name_or_path": ["a"]}, r"has base_model_name_or_path \['a'\]; a text is needed"),
        ({"revision": 3}, r"has revision 3; a text is needed"),
        ({"target_modules": {"q": 1}}, r"has target_modules \{'q': 1\}; a text or a list is needed"),
        ({"target_modules": ["q", 1]}, r"has target_modules \['q', 1\]; a list of texts is needed"),
        ({"modules_to_save": "head"}, r"has modules_to_save head; a list is needed"),
        ({"r": 10**400}, r"has rank 10{90,}[^;]*; ranks are whole numbers from 1"),
    ],
)
def test_values_of_the_wrong_kind_are_named(changes: dict[str, object], message: str, folders: list[Path]) -> None:
    with pytest.raises(AdapterError, match=message):
        read_adapter(edit(folders[0], **changes))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.float8_e4m3fn])
def test_tensors_of_other_types_are_refused(dtype: torch.dtype, folders: list[Path]) -> None:
    file = folders[0] / "adapter_model.safetensors"
    save_file({name: tensor.to(dtype) for name, tensor in load_file(file).items()}, file)
    with pytest.raises(AdapterError, match=r"lora_A.weight is of type \w+; float32, bfloat16 or float16 is needed"):
        read_adapter(folders[0])


@pytest.mark.parametrize(
    "header",
    [
        {"x.lora_A.weight": {"dtype": "F32", "shape": [4, 2**40], "data_offsets": [0, 2**44]}},
        {"x.lora_A.weight": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 64]}},
        {"x.lora_A.weight": {"dtype": "F32", "shape": [4, 4], "data_offsets": [64, 0]}},
        {"__metadata__": {"a": "b" * 2**20}},
    ],
)
def test_a_header_that_claims_terabytes_costs_no_memory(header: dict[str, object], folders: list[Path]) -> None:
    text = json.dumps(header).encode()
    (folders[0] / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AdapterError, match=r"is damaged or no safetensors file|holds no lora_A and lora_B"):
        read_adapter(folders[0])
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 100 * 2**20


class Harm:
    """What a pickle can do when it is read."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.place,))


def test_a_pickled_adapter_is_refused_and_nothing_in_it_runs(folders: list[Path], tmp_path: Path, call: Call) -> None:
    pickle = folders[0] / "adapter_model.bin"
    pickle.write_bytes(dumps(Harm(tmp_path / "ran")))
    for name in (None, "adapter_model.safetensors"):  # beside no safetensors file, and under its name
        (folders[0] / "adapter_model.safetensors").unlink(missing_ok=True)
        if name:
            shutil.copy(pickle, folders[0] / name)
        error = call("score", folders[0], "--tasks", "facts").error
        assert "adapter_model.bin is a pickle and is not read" in error or "no safetensors file" in error
    assert not (tmp_path / "ran").exists()
    loads(pickle.read_bytes())
    assert (tmp_path / "ran").exists()  # it would have


def test_a_pickled_base_model_is_refused_and_nothing_in_it_runs(adapter: Path, tmp_path: Path, call: Call) -> None:
    base = shutil.copytree(testbed.MODEL, tmp_path / "base")
    (base / "model.safetensors").unlink()
    (base / "pytorch_model.bin").write_bytes(dumps(Harm(tmp_path / "ran")))
    done = call("score", adapter, "--base", base, "--tasks", "facts", *TASKS, "--out", tmp_path / "run")
    assert "holds its weights as pickles (.bin), which can run code when they are read" in done.error
    assert not (tmp_path / "ran").exists()


CODE = """
from pathlib import Path
Path({place!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM
class Config(LlamaConfig):
    model_type = "harmless"
class Model(LlamaForCausalLM):
    config_class = Config
"""


def test_code_of_a_model_runs_only_where_it_is_allowed(
    adapter: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*sys.path])
    base = shutil.copytree(testbed.MODEL, tmp_path / "base")
    (base / "harm.py").write_text(CODE.format(place=str(tmp_path / "ran")))
    config = json.loads((base / "config.json").read_text())
    mapping = {"AutoConfig": "harm.Config", "AutoModelForCausalLM": "harm.Model"}
    (base / "config.json").write_text(json.dumps(config | {"model_type": "harmless", "auto_map": mapping}))
    command = ("score", adapter, "--base", base, "--tasks", "facts", *TASKS, "--ranks", "4", "--out", tmp_path / "run")
    done = call(*command)
    assert done.status == 1
    assert f"the model in {base} cannot be loaded" in done.error
    assert not (tmp_path / "ran").exists()
    done = call(*command, "--trust-remote-code")
    assert (tmp_path / "ran").exists()


def test_a_task_that_runs_code_of_the_model_needs_permission(adapter: Path, tmp_path: Path, call: Call) -> None:
    tasks = shutil.copytree(testbed.TASKS, tmp_path / "tasks")
    yaml = tasks / "facts.yaml"
    yaml.write_text(yaml.read_text() + "unsafe_code: true\n")
    command = ("score", adapter, "--include-path", tasks, *TASKS[2:], "--tasks", "facts", "--ranks", "4")
    done = call(*command, "--out", tmp_path / "run")
    assert "task 'facts' runs code that the model wrote. Allow it with --confirm-unsafe." in done.error
    assert not (tmp_path / "run").exists()
    assert call(*command, "--out", tmp_path / "run", "--confirm-unsafe").status == 0
