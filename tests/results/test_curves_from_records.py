"""What `load` makes of a record: curves of tasks, groups and corpus ratios."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from aurac.errors import RecordError, UnknownNameError
from aurac.results import load
from aurac.results.curves import headline_metric
from records_by_hand import make_cell, settings, write
from tolerance import near


def test_a_curve_has_the_scores_of_every_document_at_every_rank(record: Path) -> None:
    run = load(record)
    curve = run.curves["t"]
    assert (run.name, run.method, run.tasks, run.ranks) == ("run", "dylora", ("t",), (1, 2))
    assert curve.accuracies.tolist() == [0.25, 0.75]
    assert curve.scores is not None
    assert curve.scores.tolist() == [[0, 1], [1, 1], [0, 0], [0, 1]]
    assert curve.documents == ("t/d0/p0", "t/d1/p1", "t/d2/p2", "t/d3/p3")
    assert (curve.task, curve.metric, curve.num_fewshot, curve.task_version) == ("t", "acc", 0, "1.0")
    assert curve.bounded
    assert curve.higher_is_better


def test_a_record_inside_an_adapter_folder_takes_that_folders_name(tmp_path: Path) -> None:
    write(tmp_path / "my-adapter" / "aurac-run", [make_cell("t", 1, [1.0])])
    assert load(tmp_path / "my-adapter").name == "my-adapter"
    assert load(tmp_path / "my-adapter" / "aurac-run").name == "my-adapter"


def test_documents_that_a_data_set_repeats_get_keys_of_their_own(tmp_path: Path) -> None:
    columns = {"doc_hash": ["d", "d", "e", "d"], "prompt_hash": ["p"] * 4}
    folder = write(tmp_path / "run", [make_cell("t", 1, [0, 1, 1, 0], columns=columns)])
    assert load(folder).curves["t"].documents == ("t/d/p", "t/d/p#2", "t/e/p", "t/d/p#3")


def test_a_corpus_ratio_keeps_its_value_and_gets_the_linearised_standard_error(tmp_path: Path) -> None:
    # Three documents of 10, 20 and 70 bytes at 3, 2 and 1 bits per byte: (30 + 40 + 70) / 100 = 1.4 bits per byte.
    cell = make_cell("t", 1, [3.0, 2.0, 1.0], metric="bits_per_byte", weights=[10.0, 20.0, 70.0], value=1.4)
    tasks = {"t": settings(3, metrics={"bits_per_byte": {"aggregation": "bits_per_byte", "higher_is_better": False}})}
    curve = load(write(tmp_path / "run", [cell], tasks=tasks)).curves["t"]
    assert curve.accuracies[0] == near(1.4)
    assert not curve.higher_is_better
    assert not curve.bounded
    # Linearised: residuals w (s - R) are 16, 12, -28; divided by the mean weight 100/3.
    assert curve.scores is not None
    assert curve.scores[:, 0] == pytest.approx([1.4 + 0.48, 1.4 + 0.36, 1.4 - 0.84])
    # SE of a ratio: sqrt(sum (w (s - R))^2 / (n - 1)) / (sqrt(n) mean w), Cochran 1977, 2.46 without the fpc.
    expected = math.sqrt((16**2 + 12**2 + 28**2) / 2) / (math.sqrt(3) * 100 / 3)
    assert np.std(curve.scores[:, 0], ddof=1) / math.sqrt(3) == pytest.approx(expected)


def test_a_perplexity_curve_stays_in_the_log_domain(tmp_path: Path) -> None:
    # Log-likelihoods -1 and -2: perplexity exp(1.5), of which the curve has the logarithm.
    cell = make_cell("t", 1, [1.0, 2.0], metric="perplexity", value=math.exp(1.5))
    tasks = {"t": settings(2, metrics={"perplexity": {"aggregation": "perplexity", "higher_is_better": False}})}
    curve = load(write(tmp_path / "run", [cell], tasks=tasks)).curves["t"]
    assert curve.metric == "log_perplexity"
    assert curve.accuracies.tolist() == [1.5]


def test_a_metric_of_the_corpus_alone_gives_a_curve_without_documents(tmp_path: Path) -> None:
    cells = [make_cell("t", rank, [None, None], metric="f1", value=value) for rank, value in ((1, 0.25), (2, 0.5))]
    curve = load(write(tmp_path / "run", cells)).curves["t"]
    assert curve.scores is None
    assert curve.accuracies.tolist() == [0.25, 0.5]


def test_a_metric_that_some_documents_lack_at_some_ranks_is_known_for_the_corpus_only(tmp_path: Path) -> None:
    one = make_cell("t", 1, [1.0, 0.0])
    two = make_cell("t", 2, [1.0, 1.0], columns={"doc_id": [0, 2], "doc_hash": ["d0", "d2"]})
    curve = load(write(tmp_path / "run", [one, two])).curves["t"]
    assert curve.scores is None
    assert curve.accuracies.tolist() == [0.5, 1.0]


def test_a_pooled_group_is_the_mean_over_all_documents(tmp_path: Path) -> None:
    run = load(write_group(tmp_path / "run", weight_by_size=True))
    curve = run.curves["g"]
    # Rank 1: (0 1 | 1 1 1 0) = 4/6; rank 2: (1 1 | 0 1 1 0) = 4/6.
    assert curve.accuracies == pytest.approx([4 / 6, 4 / 6])
    assert (curve.n_documents, curve.task, curve.task_version, curve.bounded) == (6, "g", "2", True)
    assert run.curve("b").accuracies == pytest.approx([3 / 4, 2 / 4])


def test_a_macro_group_is_the_mean_over_tasks_with_the_error_of_fixed_tasks(tmp_path: Path) -> None:
    curve = load(write_group(tmp_path / "run", weight_by_size=False)).curves["g"]
    # Rank 1: (1/2 + 3/4) / 2; rank 2: (1 + 2/4) / 2.
    assert curve.accuracies == pytest.approx([5 / 8, 6 / 8])
    assert curve.scores is not None
    # Var = (1/L^2) sum of s_l^2 / n_l, with population variances 1/4 and 3/16 of (0 1) and (1 1 1 0).
    expected = math.sqrt((0.25 / 2 + 0.1875 / 4) / 4)
    assert np.std(curve.scores[:, 0]) / math.sqrt(6) == pytest.approx(expected)


def write_group(folder: Path, *, weight_by_size: bool) -> Path:
    cells = [
        make_cell("a", 1, [0, 1]),
        make_cell("a", 2, [1, 1]),
        make_cell("b", 1, [1, 1, 1, 0]),
        make_cell("b", 2, [0, 1, 1, 0]),
    ]
    metrics = {"acc": {"weight_by_size": weight_by_size, "filters": None}}
    groups = {"g": {"members": ["a", "b"], "metrics": metrics, "version": "2"}}
    return write(folder, cells, groups=groups, asked={"g": {"task": "g", "metric": "acc", "filter": None}})


def test_a_group_without_per_document_scores_weights_its_tasks_by_size(tmp_path: Path) -> None:
    cells = [make_cell("a", 1, [None], metric="f1", value=0.2), make_cell("b", 1, [None] * 3, metric="f1", value=0.6)]
    groups = {"g": {"members": ["a", "b"], "metrics": {"f1": {"weight_by_size": True, "filters": None}}}}
    curve = load(write(tmp_path / "run", cells, groups=groups, asked={"g": {"task": "g"}})).curves["g"]
    assert curve.accuracies == pytest.approx([(0.2 * 1 + 0.6 * 3) / 4])


def test_other_metrics_and_filters_are_asked_for_by_name(tmp_path: Path) -> None:
    cell = make_cell("t", 1, [0, 1, 0, 1])
    columns = {name: [*values, *values] for name, values in cell.columns.items()}
    columns["filter"] = ["strict"] * 4 + ["loose"] * 4
    columns["score"] = [0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    both = make_cell("t", 1, [0, 1, 0, 1], columns=columns)
    both = type(both)("t", 1, 0.5, {"acc,strict": 0.5, "acc,loose": 0.75}, columns)
    run = load(write(tmp_path / "run", [both]))
    assert run.curves["t"].accuracies.tolist() == [0.5]  # the first filter is the headline
    assert run.curve("t", "acc:loose").accuracies.tolist() == [0.75]
    with pytest.raises(UnknownNameError, match=r"unknown filter 'lose' of task 't'\. Did you mean 'loose'\?"):
        run.curve("t", "acc:lose")
    with pytest.raises(UnknownNameError, match=r"unknown metric 'accu' of task 't'\. Did you mean 'acc'\?"):
        run.curve("t", "accu")
    with pytest.raises(UnknownNameError, match=r"unknown task 'tt' in run 'run'\. Did you mean 't'\?"):
        run.curve("tt")


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["acc_norm", "acc"], "acc"), (["perplexity", "acc"], "acc"), (["bleu", "ter"], "bleu"), (["f1"], "f1")],
)
def test_the_headline_metric_is_accuracy_where_there_is_one(names: list[str], expected: str) -> None:
    assert headline_metric(names) == expected


def test_a_failed_cell_leaves_the_task_without_a_curve_and_says_why(tmp_path: Path) -> None:
    broken = make_cell("t", 2, [], error="3 of 8 log-likelihoods are not numbers")
    folder = write(tmp_path / "run", [make_cell("t", 1, [0, 1]), broken, make_cell("u", 1, [1.0, 1.0])])
    run = load(folder)
    assert run.tasks == ("u",)
    assert run.problems == {"t": "task 't' failed at rank 2: 3 of 8 log-likelihoods are not numbers"}
    assert [(cell["task"], cell["rank"]) for cell in run.failures] == [("t", 2)]
    with pytest.raises(RecordError, match="task 't' failed at rank 2: 3 of 8 log-likelihoods are not numbers"):
        run.curve("t")


def test_a_planned_task_that_was_not_measured_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    asked = {"t": {"task": "t"}, "v": {"task": "v"}}
    tasks = {"t": settings(1), "v": settings(1)}
    run = load(write(tmp_path / "run", [make_cell("t", 1, [1.0])], asked=asked, tasks=tasks))
    assert run.problems == {"v": "task 'v' was not measured yet. The same `aurac score` goes on from there."}
    assert [(cell["task"], cell["rank"]) for cell in run.pending] == [("v", 1)]
