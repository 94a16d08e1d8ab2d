"""How every compiled function here is compiled.

Cached on disk, without the GIL, and with the two float liberties that do not change results from
run to run: fused multiply-add and ignored zero signs. Reassociation lets the compiler sum a row in
vector lanes; the order is fixed when it compiles, so it is the same in any thread. No NaN or
infinity is assumed away.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Returns the function, compiled by numba at its first call."""
    return numba.njit(
        cache=True,
        nogil=True,
        fastmath={"contract", "nsz", "reassoc"},
        error_model="numpy",
    )(function)
