"""How every compiled function here is compiled.

Cached on disk, without the GIL, and with the two float liberties that do not change results from
run to run: fused multiply-add and ignored zero signs. Sums are never reassociated: a function that
is compiled and one that is loaded from the cache were seen to add in another order, so that a cold
cache gave other bytes than a warm one (28,997 pairs of multi30k). No NaN or infinity is assumed
away, but where a maximum is sought: only then are vectors used for it.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = {
    # Compiled once a machine and not once a worker: Beam starts many processes.
    "cache": True,
    # Otherwise the threads of threads.py would run one at a time.
    "nogil": True,
    "fastmath": {"contract", "nsz"},
    # A division by zero gives inf, as in numpy: Python's check for it would be a branch in every
    # loop that divides, and keep vectors from being used.
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
}
_MAX_OPTIONS = {**_OPTIONS, "fastmath": {"contract", "nsz", "nnan"}}


def njit(function: Function) -> Function:
    """Returns the function, compiled by numba at its first call."""
    return cast(Function, numba.njit(**_OPTIONS)(function))


def njit_inner(function: Function) -> Function:
    """Returns the function, compiled for callers that are compiled themselves, and only for those.

    Without the way in from Python the E-step compiles in three quarters of the time.
    """
    return cast(Function, numba.njit(**_OPTIONS, no_cpython_wrapper=True)(function))


def njit_max(function: Function) -> Function:
    """As `njit_inner`, for a function that is given no NaN and does nothing but take a maximum.

    Returns:
        The function, compiled to vector instructions, which a NaN would forbid.
    """
    return cast(Function, numba.njit(**_MAX_OPTIONS, no_cpython_wrapper=True)(function))
