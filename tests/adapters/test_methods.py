"""What each method does to the diagonal p between A and B."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from aurac.errors import AdapterError, RankError, UnknownNameError
from aurac_adapters import METHODS, DyLora, Lora, MatryoshkaLora, NestedMethod, SvdLora
from aurac_adapters.methods.inference import INFERENCES
from aurac_adapters.methods.scaling import SCALINGS
from tolerance import assert_near

TRAINABLE = [name for name in METHODS if METHODS[name].trainable]


def test_scaling_rules_are_one_over_rank_and_over_its_root() -> None:
    assert [MatryoshkaLora(max_rank=4, scaling=rule, gain=3.0).scale(4) for rule in ("one", "rank", "sqrt")] == [
        3,
        0.75,
        1.5,
    ]


def test_matryoshka_sums_the_scaled_prefixes_of_all_train_ranks() -> None:
    # S = {1, 2, 4}, s_r = 1/r: row 1 is in all three (1 + 1/2 + 1/4), row 2 in two, rows 3 and 4 in one.
    method = MatryoshkaLora(max_rank=4, train_ranks=[1, 2, 4], scaling="rank")
    assert method.training_diagonal(0).tolist() == [1.75, 0.75, 0.25, 0.25]


def test_normalised_matryoshka_divides_by_the_number_of_train_ranks() -> None:
    method = MatryoshkaLora(max_rank=4, train_ranks=[1, 2, 4], scaling="rank", normalize=True)
    assert_near(method.training_diagonal(0), np.array([1.75, 0.75, 0.25, 0.25]) / 3)


def test_matryoshka_with_the_full_rank_alone_is_lora() -> None:
    one = MatryoshkaLora(max_rank=8, train_ranks=[8], scaling="sqrt")
    assert one.training_diagonal(0).tolist() == Lora(max_rank=8, scaling="sqrt").training_diagonal(0).tolist()


def test_dylora_draws_a_prefix_from_seed_and_step_alone() -> None:
    a, b = (DyLora(max_rank=8, seed=7) for _ in range(2))
    ranks = [a.sampled_rank(step) for step in range(50)]
    assert ranks == [b.sampled_rank(step) for step in range(50)]
    assert ranks != [DyLora(max_rank=8, seed=8).sampled_rank(step) for step in range(50)]
    assert a.training_diagonal(3).tolist() == [1.0] * ranks[3] + [0.0] * (8 - ranks[3])


def test_dylora_draws_train_ranks_uniformly() -> None:
    method = DyLora(max_rank=8)
    counts = np.bincount([method.sampled_rank(step) for step in range(2000)], minlength=9)[[1, 2, 4, 8]]
    assert counts.sum() == 2000
    assert chisquare(counts).pvalue > 0.001


def test_drawing_leaves_the_global_generators_alone() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    DyLora(max_rank=8).training_diagonal(5)
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]  # noqa: NPY002


def test_frozen_dylora_lets_a_step_change_the_last_row_of_its_prefix_only() -> None:
    method = DyLora(max_rank=4, frozen=True)
    mask = method.gradient_mask(0)
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == [method.sampled_rank(0) - 1]
    assert DyLora(max_rank=4).gradient_mask(0) is None


@pytest.mark.parametrize("name", METHODS)
@given(max_rank=st.integers(1, 40), scaling=st.sampled_from(sorted(SCALINGS)), data=st.data())
@settings(max_examples=25, derandomize=True, deadline=None)
def test_every_method_uses_the_first_r_ranks_and_no_other(
    name: str, max_rank: int, scaling: str, data: st.DataObject
) -> None:
    method = METHODS[name](max_rank=max_rank, scaling=scaling)
    rank = data.draw(st.integers(1, max_rank))
    gram = np.eye(max_rank)  # rank-one terms at right angles, whose nearest diagonal is the trained one
    for inference in INFERENCES:
        p = method.inference_diagonal(rank, inference, gram=gram)
        assert p.shape == (max_rank,)
        assert (p[:rank] > 0).all()
        assert (p[rank:] == 0).all()
    assert_near(method.inference_diagonal(rank)[:rank], method.scale(rank))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_survives_the_sidecar(name: str) -> None:
    method: NestedMethod = METHODS[name](max_rank=8, scaling="rank", gain=2.0, seed=3)
    values = method.to_dict()
    assert values.pop("method") == name
    assert METHODS[name].from_dict(values) == method


def test_default_train_ranks_are_the_powers_of_two_and_the_full_rank() -> None:
    assert DyLora(max_rank=12).train_ranks == (1, 2, 4, 8, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_rank": 0}, r"max_rank 0 is out of range; allowed: 1 or more"),
        ({"max_rank": 2.5}, r"max_rank 2.5 is not a whole number"),
        ({"max_rank": 8, "train_ranks": [4, 16]}, r"train rank 16 is out of range; allowed: 1 to 8"),
        ({"max_rank": 8, "train_ranks": [4, 2, 8]}, r"train ranks \[4, 2, 8\] must increase and end with max_rank 8"),
        ({"max_rank": 8, "train_ranks": [2, 4]}, r"rows above .* be trained\. Sort the list, .* end it with 8\."),
    ],
)
def test_ranks_that_make_no_method_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(RankError, match=message):
        MatryoshkaLora(**options)  # type: ignore[arg-type]


def test_a_method_is_described_by_its_name_and_the_ranks_it_was_trained_at() -> None:
    assert Lora(max_rank=32).description == "lora, trained at rank 32"
    assert DyLora(max_rank=4).description == "dylora, trained at ranks 1, 2, 4"


def test_a_rank_above_the_adapters_is_an_error_and_never_clamped() -> None:
    with pytest.raises(RankError, match=r"rank 9 is out of range; allowed: 1 to 8, the rank of this adapter"):
        Lora(max_rank=8).inference_diagonal(9)


def test_unknown_names_are_answered_with_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown scaling rule 'sqr'. Did you mean 'sqrt'"):
        Lora(max_rank=8, scaling="sqr")
    with pytest.raises(UnknownNameError, match=r"unknown inference rule 'prefx'. Did you mean 'prefix'"):
        Lora(max_rank=8).inference_diagonal(2, "prefx")
    with pytest.raises(UnknownNameError, match=r"unknown key 'frozen' of method 'lora'"):
        Lora.from_dict({"max_rank": 8, "frozen": True})


def test_a_gain_that_is_no_positive_number_is_refused() -> None:
    with pytest.raises(AdapterError, match=r"gain nan is not a positive number"):
        Lora(max_rank=8, gain=float("nan"))


def test_svd_lora_is_not_trained() -> None:
    with pytest.raises(AdapterError, match=r"svd-lora is made from a trained adapter"):
        SvdLora(max_rank=8).training_diagonal(0)


def test_plain_lora_has_no_train_ranks_to_choose() -> None:
    assert Lora(8).train_ranks == (8,)
    with pytest.raises(
        RankError, match=r"lora is trained at its full rank 8 only, but train ranks \[2, 8\] were given"
    ):
        Lora(8, (2, 8))


def test_a_method_lacking_a_value_is_not_guessed() -> None:
    with pytest.raises(AdapterError, match=r"method 'dylora' lacks frozen, gain, scaling, seed, train_ranks"):
        DyLora.from_dict({"max_rank": 8})


def test_methods_are_described_without_importing_torch_or_peft() -> None:
    code = (
        "import sys, aurac_adapters as a; a.MatryoshkaLora(8).training_diagonal(0); list(a.METHODS); "
        "print([name for name in ('torch', 'peft', 'transformers', 'pandas') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
