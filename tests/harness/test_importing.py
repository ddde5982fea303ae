"""What lm-eval wrote to disk becomes the record of our own sweep."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import numpy as np
import pytest

from aurac.errors import RecordError
from aurac.harness.exchange.importing import import_lm_eval
from aurac.harness.exchange.lm_eval_names import below, check_groups
from aurac.harness.exchange.lm_eval_output import rank_folders
from aurac.harness.protocols import parse_tasks
from aurac.report.comparison import compare
from aurac.results import Run, load
from lm_eval_folders import ADAPTER, OURS, RANKS, edit_results, folders, the_file

CONFIG = {"model": "hf", "model_args": "pretrained=me/base,peft=x", "limit": 5}


@pytest.fixture(scope="module")
def imported(written: tuple[Path, Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return import_lm_eval(folders(written[0]), out=tmp_path_factory.mktemp("imported") / "theirs", adapter=ADAPTER)


def test_every_task_and_group_has_the_rows_settings_and_curves_of_our_own_sweep(
    imported: Run, written: tuple[Path, Run]
) -> None:
    own = written[1]
    for task, settings in own.record["tasks"].items():
        theirs = {name: about for name, about in settings["metrics"].items() if name not in OURS}
        if task == "hits":  # lm-eval writes a function down as its source
            theirs = imported.record["tasks"][task]["metrics"]
        assert imported.record["tasks"][task] == settings | {"metrics": theirs}
    group = own.record["groups"]["pooled"]
    filters = {"metrics": {"acc": {"weight_by_size": True, "filters": ["none"]}}}  # by name, where ours says "all"
    assert imported.record["groups"]["pooled"] == group | filters
    assert imported._content is not None
    assert own._content is not None
    assert imported._content.cells.keys() == own._content.cells.keys()
    for key, cell in own._content.cells.items():
        other = imported._content.cells[key]
        metrics = {key: value for key, value in cell.entry["metrics"].items() if key.partition(",")[0] not in OURS}
        assert other.entry["metrics"] == pytest.approx(metrics, rel=1e-6)
        rows = cell.rows.filter([name not in OURS for name in cell.rows["metric"].to_pylist()])
        ours, theirs = rows.to_pydict(), other.rows.to_pydict()
        assert {name: theirs[name] for name in ("doc_hash", "prompt_hash", "metric", "filter")} == {
            name: ours[name] for name in ("doc_hash", "prompt_hash", "metric", "filter")
        }
        for name in ("score", "weight"):
            # Both are sums of float32, in the orders of two batches.
            np.testing.assert_allclose(numbers(theirs[name]), numbers(ours[name]), rtol=1e-5, atol=1e-9)


def numbers(column: list[float | None]) -> Any:
    return np.array([np.nan if value is None else value for value in column])


def test_documents_that_share_a_field_are_kept_as_the_sweep_keeps_them(
    written: tuple[Path, Run], tmp_path: Path
) -> None:
    first = next((written[0] / "rank-2").rglob("samples_binary_*.jsonl"))
    rows = [json.loads(line)["doc"] for line in first.read_text(encoding="utf-8").splitlines()]
    field = next(name for name in rows[0] if 1 < len({str(row[name]) for row in rows}) < len(rows))
    asked: dict[str, Any] = {"adapter": ADAPTER, "requests": parse_tasks("binary"), "cluster": field}
    found = import_lm_eval(folders(written[0]), out=tmp_path / "theirs", **asked)
    clusters = found.record["tasks"]["binary"]["clusters"]
    assert clusters["field"] == field
    assert len(set(clusters["labels"])) == len({str(row[field]) for row in rows})
    assert found.curve("binary").clusters is not None


def test_an_imported_run_is_joined_with_our_own_document_by_document(imported: Run, written: tuple[Path, Run]) -> None:
    made = compare([written[1], imported], tasks=["pooled", "spell"])
    difference = made.results[imported.name, "pooled"].difference
    assert difference is not None
    assert (difference.value, difference.n_documents) == (0.0, 30)


def test_how_lm_eval_averaged_a_group_follows_from_its_numbers(written: tuple[Path, Run], tmp_path: Path) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")

    def over_tasks(content: dict[str, Any]) -> None:
        tasks = [content["results"][task]["acc,none"] for task in ("colours", "few")]
        content["groups"]["pooled"]["acc,none"] = sum(tasks) / 2

    for folder in folders(parent).values():
        edit_results(folder, over_tasks)
    run = import_lm_eval(folders(parent), out=tmp_path / "run", adapter=ADAPTER, requests=parse_tasks("pooled"))
    assert run.tasks == ("pooled",)
    assert run.record["groups"]["pooled"]["metrics"]["acc"]["weight_by_size"] is False
    content = json.loads(the_file(parent / "rank-2", "results_*.json").read_text())
    assert run.curve("pooled").accuracy_at(2) == pytest.approx(content["groups"]["pooled"]["acc,none"])


def test_tasks_metrics_and_shots_are_asked_for_as_in_a_sweep(written: tuple[Path, Run], tmp_path: Path) -> None:
    asked = parse_tasks("spell@1:exact_match:whole,prose:byte_perplexity")
    run = import_lm_eval(folders(written[0]), out=tmp_path / "run", adapter=ADAPTER, requests=asked)
    assert run.tasks == ("spell", "prose")
    assert run.curve("prose").metric == "log_byte_perplexity"


def test_an_aggregation_that_is_not_said_is_that_of_lm_eval(written: tuple[Path, Run], tmp_path: Path) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")
    for folder in folders(parent).values():
        edit_results(folder, lambda content: [e.pop("aggregation") for e in content["configs"]["prose"]["metric_list"]])
    run = import_lm_eval(folders(parent), out=tmp_path / "run", adapter=ADAPTER, requests=parse_tasks("prose"))
    assert run.curve("prose").scores is not None
    assert run.record["tasks"]["prose"]["metrics"] == written[1].record["tasks"]["prose"]["metrics"]


def test_the_identity_names_what_lm_eval_ran_with(written: tuple[Path, Run], tmp_path: Path) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")
    said = {"chat_template_sha": "ab", "system_instruction": "Be brief.", "fewshot_as_multiturn": True}
    for folder in folders(parent).values():
        edit_results(folder, lambda content: content.update(said))
        named = CONFIG | {"model_args": f"pretrained=me/base,peft={folder.name}"}
        edit_results(folder, lambda content, named=named: content["config"].update(named))
    run = import_lm_eval(folders(parent), out=tmp_path / "run", adapter=ADAPTER, requests=parse_tasks("prose"))
    assert run.record["identity"] == {
        "adapter": ADAPTER,
        "base": {"name_or_path": "me/base"},
        "dtype": "float32",
        "engine": "lm-eval hf",
        "fewshot_seed": 1234,
        "limit": 5,
        "chat_template_sha256": "ab",
        "system_instruction": "Be brief.",
        "fewshot_as_multiturn": True,
    }
    assert [entry["rank"] for entry in run.record["imported"]["results"]] == list(RANKS)
    assert {cell["seconds"] for cell in run.record["cells"]} == {None}


def test_an_output_path_that_ends_in_json_is_read_too(written: tuple[Path, Run], tmp_path: Path) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")
    for folder in folders(parent).values():
        file = the_file(folder, "results_*.json")
        file.rename(file.with_name(file.name.replace("results_", "mine_")))
    run = import_lm_eval(folders(parent), out=tmp_path / "run", adapter=ADAPTER, requests=parse_tasks("prose"))
    assert run.tasks == ("prose",)


def test_merged_weights_need_the_name_of_their_base_model(written: tuple[Path, Run], tmp_path: Path) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")
    for rank, folder in folders(parent).items():
        edit_results(folder, lambda content, rank=rank: content["config"].update(model_args={"pretrained": f"r{rank}"}))
    options: dict[str, Any] = {"out": tmp_path / "run", "adapter": ADAPTER, "requests": parse_tasks("prose")}
    with pytest.raises(RecordError, match=r"base model is 'r2' at rank 2 and 'r8' .* name their base model"):
        import_lm_eval(folders(parent), **options)
    run = import_lm_eval(folders(parent), base="me/base", **options)
    assert run.record["identity"]["base"] == {"name_or_path": "me/base"}


def test_ranks_of_numpy_name_folders_and_fractions_none(written: tuple[Path, Run], tmp_path: Path) -> None:
    options: dict[str, Any] = {"adapter": ADAPTER, "requests": parse_tasks("prose")}
    given = {np.int64(rank): folder for rank, folder in folders(written[0]).items()}
    assert import_lm_eval(given, out=tmp_path / "run", **options).ranks == RANKS
    for rank in (1.5, 0, True, "8"):
        with pytest.raises(RecordError, match=r"is no whole number from 1. Name each folder by the rank"):
            import_lm_eval({rank: written[0] / "rank-2"}, out=tmp_path / "other", **options)


def test_results_beside_the_ranks_are_named_and_not_left_out_without_a_word(tmp_path: Path) -> None:
    for name in ("r8", "r16_rerun/model", "base", "notes", "r0"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("r8", "r16_rerun/model", "base", "r0"):
        (tmp_path / name / "results_2026-01-01T00-00-00.json").touch()
    (tmp_path / "results_2026-01-01T00-00-00.json").touch()
    said = r"not imported: base, r0, r16_rerun, results_2026-01-01T00-00-00.json in .*To import .* --rank R=DIR"
    with pytest.warns(UserWarning, match=said):
        assert rank_folders(tmp_path) == {8: tmp_path / "r8"}
    rmtree(tmp_path / "r8")
    with pytest.raises(RecordError, match=r"has no folder called rank-4 or r4, but results in base, r0, r16_rerun"):
        rank_folders(tmp_path)


def test_a_record_is_never_written_over(imported: Run, written: tuple[Path, Run]) -> None:
    assert imported.path is not None
    with pytest.raises(RecordError, match=r"holds a run record already. Give another folder with --out"):
        import_lm_eval(folders(written[0]), out=imported.path, adapter=ADAPTER)
    assert load(imported.path).tasks == imported.tasks


def test_folders_are_found_by_their_rank(tmp_path: Path) -> None:
    for name in ("rank-16", "r4", "Rank_2", "rank", "results", "x4"):
        (tmp_path / name).mkdir()
    assert rank_folders(tmp_path) == {2: tmp_path / "Rank_2", 4: tmp_path / "r4", 16: tmp_path / "rank-16"}
    (tmp_path / "rank-4").mkdir()
    with pytest.raises(RecordError, match=r"has two folders of rank 4: r4 and rank-4"):
        rank_folders(tmp_path)
    with pytest.raises(RecordError, match=r"has no folder called rank-4 or r4"):
        rank_folders(tmp_path / "rank")
    with pytest.raises(RecordError, match=r"no such folder: .*nowhere"):
        rank_folders(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match=r"file is a file\. Give a folder with one child a rank"):
        rank_folders(tmp_path / "file")


def test_groups_may_be_deep_and_share_their_tasks() -> None:
    deep = {f"g{n}": [f"g{n + 1}", f"g{n + 1}", "a"] for n in range(5000)} | {"g5000": ["b"]}
    check_groups(1, Path("x"), {"group_subtasks": deep, "configs": {"a": {}, "b": {}}})
    found = below("g0", deep, {"a", "b"})
    assert (found[:2], len(found), found[-2:]) == (["g1", "g2"], 5002, ["b", "a"])
