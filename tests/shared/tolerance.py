"""How near two results must be that are equal in exact arithmetic.

Processors, thread counts and versions of BLAS add in different orders, so a bound measured on one machine is none on
the next. The bounds here follow from the number type and from the size of the values instead. A test that claims
equality to the bit says so with `torch.equal` or `==` and uses none of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

# One rounding is 2^-53, 2^-24, 2^-11 or 2^-8 of a value. The models of the tests add up to about 100 products, in at
# most two layers, and a softmax makes an error as many times larger as its logits are large (below 20): hundreds of
# roundings in the worst case, a few in 16 bits, where the tests compare single products. float64 has room for more.
_RELATIVE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 2e-2}


def assert_same_function(actual: torch.Tensor, expected: torch.Tensor, *, rounding: torch.dtype | None = None) -> None:
    """Assert that logits, gradients or weights come from the same function, computed in another order.

    The relative bound is that of the number type. An entry near zero is a difference of large values and has their
    error, so a tenth of the bound, times the largest entry, is allowed everywhere. A function of another rank, or with
    a factor wrong by a percent, is outside: tests/test_tolerances.py plants both.

    Args:
        actual: What we computed.
        expected: The independent reference, of the same shape and type.
        rounding: The coarsest type that values went through, if it is not the type of the tensors, such as float32
            weights in a float64 model.
    """
    relative = _RELATIVE[rounding or expected.dtype]
    largest = float(expected.detach().abs().max())
    torch.testing.assert_close(actual, expected, rtol=relative, atol=0.1 * relative * largest)


def assert_same_training(actual: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    """Assert that two trainings of a few steps, whose sums were added in another order, made the same adapter.

    Adam divides a gradient by its own size, so a weight whose gradient is near zero has its relative error, not
    the absolute one. A step is 1e-3 and more in the tests, a hundred times the bound; weights are below 1.
    """
    assert actual.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(actual[name], weight, rtol=1e-4, atol=1e-5)


def near(expected: Any) -> Any:
    """Return what equals `expected` up to float64 rounding, for values of size 1 such as accuracies and p-values.

    Ten additions in another order cost 1e-15; variances and special functions lose some digits more.
    """
    return pytest.approx(expected, rel=1e-9, abs=1e-12)


def assert_near(actual: Any, expected: Any) -> None:
    """Assert the same as `near`, for arrays."""
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def same_log_likelihoods(expected: Any) -> Any:
    """Return what equals `expected` for sums of log-probabilities that a float32 model gives in another order.

    Each is a difference of logits below 20, of which float32 keeps 2e-6; a sum has up to 100 of them.
    """
    return pytest.approx(expected, rel=1e-5, abs=2e-4)
