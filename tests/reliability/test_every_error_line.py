"""Every place that raises an error of the project is quoted by a test; those that no other test reaches are here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import aurac
import aurac.report.formats
from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.files import read_curve
from aurac.errors import AuracError
from aurac.results import Run, RunRecord, load
from error_sites import SHORTEST, quotations, sites
from records_by_hand import IDENTITY, make_cell, write

# Places that only pass on a name or another message -> what a test quotes of the whole.
PASSED_ON = {
    "adapters/aurac_adapters/methods/method.py:NestedMethod.from_dict": "method 'lora' lacks gain",
    "adapters/aurac_adapters/folder/sidecar.py:read_sidecar": "unknown adapter method 'magic'",
    "aurac/curve/files.py:read_curve": "occurs twice. Give each rank once.",
    "aurac/registry.py:Registry.__getitem__": "unknown table format",
    "aurac/analysis/comparability.py:signatures": "run 'r' has no curve",
    "aurac/analysis/joining.py:common_tasks": "Score them on the same tasks",
    "aurac/report/plots/pareto.py:plot_pareto": "run 'r' has no curve",
    "aurac/statistics/alignment.py:align": "have no documents in common",
    "aurac/statistics/refused.py:check_name": "unknown adjustment",
}


def test_every_error_is_quoted_by_a_test() -> None:
    quoted = quotations()
    missing = []
    for site in sites():
        covered = site.is_quoted_by(quoted)
        if not site.constants or not covered:
            covered = covered or any(PASSED_ON.get(site.where, "?") in text for text in quoted)
        if not covered:
            missing.append(f"{site.where} (line {site.line}): {site.kind} {' ... '.join(site.constants)}")
    assert not missing, "no test quotes:\n" + "\n".join(missing)


def test_the_search_finds_the_errors_and_would_miss_a_new_one() -> None:
    found = sites()
    assert len(found) > 250
    assert {site.kind for site in found} >= {"AdapterError", "RecordError", "UnknownNameError", "NoCurveError"}
    new = replace(found[0], constants=("nobody has written a test for this",))
    assert not new.is_quoted_by({text for text in quotations() if "nobody" not in text})
    assert not new.is_quoted_by({"for this"[:SHORTEST]})


def curve(*, scores: bool = True, **options: Any) -> RankAccuracyCurve:
    if not scores:
        return RankAccuracyCurve((1, 2), (0.25, 0.5), **options)
    matrix = (np.random.default_rng(0).random((20, 2)) < 0.5).astype(float)
    return RankAccuracyCurve.from_scores((1, 2), matrix, documents=[f"d{i}" for i in range(20)], task="t", **options)


def run(*curves: RankAccuracyCurve, name: str = "r", **adapter: Any) -> Run:
    record = {"identity": {"adapter": {"method": "lora", "seed": 1, **adapter}}}
    return Run(name, None, record, {str(c.task): c for c in curves})


def text_file(folder: Path, name: str, content: bytes | str) -> Path:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def group_without_common_rank(folder: Path) -> Path:
    cells = [make_cell("a", 1, [1, 0]), make_cell("b", 2, [1, 0])]
    members = {"g": {"members": ["a", "b"], "metrics": {"acc": {"weight_by_size": True}}, "version": 1}}
    return write(folder / "run", cells, groups=members, asked={"g": {"task": "g"}})


def nested(**layer: Any) -> Any:
    """A model with one LoRA layer that is not what it should be."""
    from peft import LoraConfig, get_peft_model

    from aurac_adapters import Lora, attach
    from tiny import tiny_llama

    model = get_peft_model(tiny_llama(layers=1), LoraConfig(r=4, lora_alpha=4, target_modules=["q_proj"]))
    found = model.base_model.model.model.layers[0].self_attn.q_proj
    for name, value in layer.items():
        getattr(found, name)["default"] = value
    return attach(model, Lora(max_rank=4))


def method(**changes: Any) -> Any:
    from aurac_adapters import Lora

    return Lora(**{"max_rank": 4, **changes})


def from_dict(**changes: Any) -> Any:
    from aurac_adapters import Lora, MatryoshkaLora

    kind = MatryoshkaLora if "normalize" in changes else Lora
    values = {key: value for key, value in kind(max_rank=4).to_dict().items() if key != "method"}
    return kind.from_dict({key: value for key, value in {**values, **changes}.items() if value is not None})


def adapter_config(**changes: Any) -> Any:
    from aurac_adapters.layer.config import check_config

    return check_config({"peft_type": "LORA", "r": 4, "lora_alpha": 4, **changes}, "adapter_config.json")


def training(**changes: Any) -> Any:
    from aurac_adapters.training.trainer import TrainingConfig

    return TrainingConfig(method=method(), model="m", data="d", out=Path("o"), **changes)


def hflm_in_two_processes() -> None:
    from aurac.workflows.sweep import join_processes

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLD_SIZE", "2")
        join_processes("hflm")


def merge_quantised() -> None:
    from aurac_adapters.layer.gate import NestedVariant

    NestedVariant(SimpleNamespace(by_layer=False), object(), "default")._update(object(), "default")  # type: ignore[arg-type]


def multimodal() -> None:
    from aurac.harness.suite import _prepare

    _prepare(SimpleNamespace(MULTIMODAL=True), "chart", SimpleNamespace(num_fewshot=None), 1, False)  # type: ignore[arg-type]


def unscorable() -> None:
    from aurac.harness.engine.queries import make_query

    make_query([1], [], window=8, text="why?")


def built_wrongly() -> None:
    from aurac.harness.catalogue import load as load_task

    load_task(SimpleNamespace(load=lambda _: 1 / 0, task_index={}), "odd")  # type: ignore[arg-type]


def load_twice() -> None:
    from peft import LoraConfig, get_peft_model

    from aurac_adapters.folder.loading import _load
    from tiny import tiny_llama

    model = get_peft_model(tiny_llama(layers=1), LoraConfig(target_modules=["q_proj"]))
    _load(model, Path("a"), "default", is_trainable=False, named=Path("a"))


def statistics(module: str, name: str, *args: Any, **options: Any) -> Any:
    from importlib import import_module

    return getattr(import_module(f"aurac.statistics.{module}"), name)(*args, **options)


def analysis(module: str, name: str, *args: Any, **options: Any) -> Any:
    from importlib import import_module

    return getattr(import_module(f"aurac.analysis.{module}"), name)(*args, **options)


LINES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "ranks of halves": (lambda _: aurac.weights([1, 2.5]), r"rank 2.5 is not a whole number; ranks count columns of"),
    "a rank twice": (lambda _: aurac.weights([1, 2, 2]), r"rank 2 occurs twice. Give each rank once\."),
    "a rule": (lambda _: aurac.weights([1, 2], rule="trapezium"), r"unknown integration rule 'trapezium'\. Did you"),
    "an axis": (lambda _: aurac.weights([1, 2], axis="log3"), r"unknown axis 'log3'"),
    "a scale": (lambda _: curve(scores=False, scale="permille"), r"unknown scale 'permille'"),
    "a table format": (lambda _: aurac.report.formats.FORMATS["word"], r"unknown table format 'word'"),
    "a document of another curve": (
        lambda _: curve().select_documents(["x"]),
        r"document 'x' is not on this curve",
    ),
    "a score that is none": (
        lambda _: RankAccuracyCurve.from_scores((1, 2), [[1, np.nan]]),
        r"the score in row 0 at rank 2 is nan, not a number \(1 such cells\)",
    ),
    "JSON cut off": (lambda t: read_curve(text_file(t, "c.json", '{"1": ')), r"c.json, line 1: not JSON \(Expecting"),
    "JSON with a key twice": (
        lambda t: read_curve(text_file(t, "c.json", '{"1": 0.1, "1": 0.2}')),
        r"c\.json: the key '1' occurs twice\. Give each rank once\.",
    ),
    "no curve of one task in a run": (
        lambda _: aurac.plot_pareto([run()]),
        r"run 'r' has no curve",
    ),
    "signatures of a run without a curve": (
        lambda t: analysis("comparability", "signatures", str(write(t / "r", [make_cell("t", 1, [], error="x")]))),
        r"run 'r' has no curve\. task 't' failed at rank 1: x",
    ),
    "the same run twice": (
        lambda _: analysis("joining", "distinct", [run(), run()]),
        r"run 'r' was given twice\. Give each run once\.",
    ),
    "signatures of a picture": (
        lambda t: analysis("comparability", "signatures", str(text_file(t, "a.png", b"\xff\xfe\xfa"))),
        r"a.png is not a text file\. Give a curve, or a file with signature lines\.",
    ),
    "signatures of a letter": (
        lambda t: analysis("comparability", "signatures", str(text_file(t, "a.txt", "Dear"))),
        r"a.txt holds no signature line and is no curve \(.csv, .json\)",
    ),
    "seeds of single runs": (
        lambda _: analysis("grouping", "check_target", {"a": [run()]}, "run", "docs+seeds"),
        r"target 'docs\+seeds' is about methods, and these are single runs\. Compare them by method",
    ),
    "a seed twice": (
        lambda _: analysis("grouping", "_check_seeds", [run(name="a"), run(name="b")]),
        r"'a' and 'b' are the same method \(lora\) with the same training seed \(1\), as far as their records say",
    ),
    "a base that is none": (
        lambda _: __import__("aurac.cli.plot", fromlist=["_base"])._base("arc"),
        r"--base 'arc' is not TASK=POINTS\. Give for example arc=41\.2\.",
    ),
    "hflm in processes": (
        lambda _: hflm_in_two_processes(),
        r"engine hflm would build other prompts in several",
    ),
    "a curve that was never on disk": (
        lambda _: run(curve()).curve("t", "f1"),
        r"run 'r' has no documents on disk, so only its headline curves are known\.",
    ),
    "a group without a common rank": (
        lambda t: load(group_without_common_rank(t)).curve("g"),
        r"no rank has all tasks of 'g' yet\. Run the same `aurac score` again\.",
    ),
    "a record that is a file": (
        lambda t: RunRecord(text_file(t, "out", "x"), IDENTITY).__enter__(),
        r"out is a file\. Give a folder for the record with --out\.",
    ),
    "a folder of something else": (
        lambda t: RunRecord(text_file(t, "thesis.tex", "x").parent, IDENTITY).__enter__(),
        r"holds 'thesis\.tex' but no run record\. Give another folder with --out, or empty this one\.",
    ),
    "an alpha of one half": (
        lambda _: analysis("adequacy", "smallest_rank", curve(), alpha=0.5),
        r"alpha 0\.5 is not between 0 and 0\.5\. Usual: 0\.05\.",
    ),
    "a margin of nothing": (
        lambda _: statistics("equivalence", "check_margin", 0),
        r"margin 0 is not positive\. Give the largest loss that is acceptable, such as 0\.01\.",
    ),
    "a p-value of two": (
        lambda _: statistics("multiplicity", "adjust", [2.0]),
        r"p-value 2 is not between 0 and 1\.",
    ),
    "an adjustment": (lambda _: statistics("multiplicity", "adjust", [0.5], "home"), r"unknown adjustment 'home'"),
    "a refusal of nothing": (lambda _: statistics("refused", "refuse", "x"), r"unknown refused procedure 'x'"),
    "documents without cluster": (
        lambda _: statistics("paired", "_labels", ("a", "b"), {"a": 1}),
        r"1 of 2 documents have no cluster \(for example b\)\. Give one for each document\.",
    ),
    "a power of one": (
        lambda _: statistics("planning", "minimal_effect", sd=0.3, n_documents=10, power=1),
        r"power 1 is not between 0 and 1\.",
    ),
    "a negative deviation": (
        lambda _: statistics("planning", "minimal_effect", sd=-1, n_documents=10),
        r"sd -1 is negative or not a number\. Give a standard deviation, such as 0\.3\.",
    ),
    "no resamples": (
        lambda _: statistics("resample", "check_resamples", 0),
        r"0 resamples are too few\. Usual: 9999",
    ),
    "a stack of no ranks": (
        lambda _: adapter_config(layer_replication=[[0, 1]]),
        r"uses layer_replication, whose weights are no stack of ranks\. Train without it\.",
    ),
    "a gain of nothing": (lambda _: method(gain=0), r"gain 0 is not a positive number\. The default is 1\."),
    "a seed of a half": (lambda _: method(seed=0.5), r"seed 0\.5 is not a whole number from 0\."),
    "a rank of a half": (
        lambda _: method(max_rank=0.5),
        r"max_rank 0\.5 is not a whole number\. Ranks count columns",
    ),
    "a switch that is none": (
        lambda _: from_dict(normalize=1),
        r"normalize of method 'matryoshka' is 1; it must be true or false\.",
    ),
    "a method without gain": (lambda _: from_dict(gain=None), r"method 'lora' lacks gain"),
    "an epoch of nothing": (lambda _: training(epochs=0), r"epochs is 0; it must be greater than 0\."),
    "quantised weights merged": (
        lambda _: merge_quantised(),
        r"object is not merged: quantised weights would be rounded\. Do not merge\.",
    ),
    "a layer with a bias": (
        lambda _: nested(lora_bias=True),
        r"has lora_bias, which no rank indexes\. Train with lora_bias=False\.",
    ),
    "a layer with another variant": (
        lambda _: nested(lora_variant=object()),
        r"is a object; one variant an adapter is possible\. Use plain LoRA \(use_dora=False\)\.",
    ),
    "an adapter of the same name": (
        lambda _: load_twice(),
        r"the model has an adapter 'default' already\. Give another adapter_name\.",
    ),
    "a model without LoRA": (
        lambda _: __import__("aurac_adapters").attach(__import__("torch").nn.Linear(2, 2), method()),
        r"the model has no LoRA layers of an adapter 'default'\. Make it with get_peft_model\.",
    ),
    "a task of images": (lambda _: multimodal(), r"task 'chart' needs images or sound\. Only tasks made of text"),
    "a request without text": (
        lambda _: unscorable(),
        r"a request has no continuation token to score \(text ends 'why\?'\); HFLM refuses it too",
    ),
    "a task that fails": (
        lambda _: built_wrongly(),
        r"task 'odd' cannot be built: ZeroDivisionError: division",
    ),
}


@pytest.mark.parametrize("what", LINES)
def test_the_error_line_for(what: str, tmp_path: Path) -> None:
    trigger, message = LINES[what]
    with pytest.raises(AuracError, match=message):
        trigger(tmp_path)
