"""Compiled functions: no liberty with sums, whatever the decorator."""

import pytest

from bitextile.kernels.align.jit import njit, njit_inner, njit_max

REASSOCIATING = {"fast", "reassoc", "arcp", "afn", "ninf"}


@pytest.mark.parametrize("decorator", [njit, njit_inner, njit_max])
def test_sums_are_never_reassociated_and_results_are_cached_without_the_gil(decorator) -> None:
    options = decorator(lambda x: x).targetoptions
    assert not REASSOCIATING & set(options["fastmath"])
    assert options["nogil"]
    assert ("nnan" in options["fastmath"]) == (decorator is njit_max)


def test_a_compiled_function_is_called_from_python() -> None:
    @njit
    def total(values):
        result = 0.0
        for value in values:
            result += value
        return result

    assert total((0.5, 0.25)) == 0.75
