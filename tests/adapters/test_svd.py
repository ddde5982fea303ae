"""The rotation on its own: optimal prefixes, the same product, one sign."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aurac_adapters.export.rotation import rotate
from tolerance import assert_same_function


@st.composite
def factors(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    rank, n_in, n_out = (draw(st.integers(1, 12)) for _ in range(3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    a, b = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((rank, n_in), (n_out, rank)))
    scales = 10.0 ** torch.tensor(draw(st.lists(st.integers(-4, 4), min_size=rank, max_size=rank)), dtype=torch.float64)
    return a, b * scales  # rows of very different weight, as a trained diagonal makes them


@given(factors())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_every_prefix_is_as_good_as_the_truncated_svd_of_the_product(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    a, b = pair
    new_a, new_b = rotate(a, b)
    assert (new_a.shape, new_b.shape) == (a.shape, b.shape)
    product = b @ a
    singular = torch.linalg.svdvals(product)
    for rank in range(1, len(a) + 1):
        error = torch.linalg.norm(product - new_b[:, :rank] @ new_a[:rank])
        best = torch.linalg.norm(singular[rank:])  # Eckart and Young: the root of the sum of squares that is left
        torch.testing.assert_close(error, best, rtol=1e-9, atol=float(1e-10 * singular[0]))


@given(factors())
@settings(max_examples=50, derandomize=True, deadline=None)
def test_both_factors_carry_the_same_weight_and_columns_have_one_sign(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    new_a, new_b = rotate(*pair)
    scale = float(new_b.norm())
    # float64, but a singular value has the error of the largest one, and its root is the norm.
    torch.testing.assert_close(new_a.norm(dim=1), new_b.norm(dim=0), rtol=1e-7, atol=1e-7 * scale)
    for column in new_b.T:
        assert column[column.abs().argmax()] >= 0
    assert (new_b.norm(dim=0).diff() <= 1e-9 * scale).all()  # in decreasing order


def test_rotating_a_rotated_adapter_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(3)
    once = rotate(*(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((4, 9), (7, 4))))
    for first, second in zip(once, rotate(*once), strict=True):
        assert_same_function(first, second)


def test_a_hand_made_pair_is_sorted_by_size() -> None:
    # B A = diag(1, 4): the larger value comes first, and each factor takes its square root.
    a, b = torch.eye(2, dtype=torch.float64), torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64))
    new_a, new_b = rotate(a, b)
    torch.testing.assert_close(new_b, torch.tensor([[0.0, 1.0], [2.0, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(new_a, torch.tensor([[0.0, 2.0], [1.0, 0.0]], dtype=torch.float64))


def test_an_adapter_of_zeros_rotates_to_zeros() -> None:
    new_a, new_b = rotate(torch.zeros(3, 5, dtype=torch.float64), torch.zeros(4, 3, dtype=torch.float64))
    assert not (new_b @ new_a).any()
    assert torch.isfinite(new_a).all()
    assert torch.isfinite(new_b).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 3, 20), (8, 20, 3), (8, 3, 2)])
def test_layers_narrower_than_the_rank_keep_their_product(shape: tuple[int, int, int]) -> None:
    rank, n_in, n_out = shape
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(s, generator=generator, dtype=torch.float64) for s in ((rank, n_in), (n_out, rank)))
    new_a, new_b = rotate(a, b)
    torch.testing.assert_close(new_b @ new_a, b @ a)
    assert not new_a[min(shape) :].any()
