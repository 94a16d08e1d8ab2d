"""Draws that are a function of (seed, operation, record id, variant, position) and nothing else.

A counter-based generator: the arguments are mixed into 64 bits by splitmix64 (Steele, Lea and
Flood 2014), so the same record gets the same draw in any order, batch, worker or runner, and a
new operation upstream changes no draw of another one.
"""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64, U64, Ints

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def mix64(x: U64) -> U64:
    """Returns the splitmix64 finaliser of each element: a bijection that scatters all bits."""
    # Multiplication modulo 2^64 is meant, and numpy would warn of it for scalars.
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * _MIX_1
        x = (x ^ (x >> np.uint64(27))) * _MIX_2
        return x ^ (x >> np.uint64(31))


def hash64(ids: pa.StringArray) -> U64:
    """Returns the leading 64 bits of each id.

    Args:
        ids: [n] strings of 32 hex digits, as `pair_id` and `text_id` are.

    >>> hash64(pa.array(["00000000000000ff" + "0" * 16])).tolist()
    [255]
    """
    # One call for all ids: 20 M of them a second, where one call for each reads 1 M.
    head = "".join(pc.utf8_slice_codeunits(ids, 0, 16).to_pylist())
    return np.frombuffer(bytes.fromhex(head), dtype=">u8").astype(np.uint64)


def bits(
    keys: U64,
    *,
    seed: int,
    operation: str,
    variant: int = 0,
    position: Ints | int = 0,
) -> U64:
    """Returns 64 random bits per (key, position).

    Args:
        keys: [...] of `hash64`.
        seed: of the run.
        operation: the name of what draws, such as "codeswitch/sentence".
        variant: which copy of the record.
        position: [...] within the record (a word, a subword); broadcast against `keys`.
    """
    # Names are hashed, so that no table of numbers of operations has to be kept in order. Renaming
    # an operation changes all its draws: the names are part of the data's format.
    salt = blake2b(f"{seed}\x1f{operation}\x1f{variant}".encode(), digest_size=8).digest()
    with np.errstate(over="ignore"):
        base = mix64(np.asarray(keys, np.uint64) ^ np.frombuffer(salt, "<u8")[0])
        # splitmix64's own sequence: position p is its p-th number from the state `base`.
        step = (np.asarray(position).astype(np.uint64) + np.uint64(1)) * _GOLDEN
        return mix64(base + step)


def uniform(
    keys: U64,
    *,
    seed: int,
    operation: str,
    variant: int = 0,
    position: Ints | int = 0,
) -> F64:
    """Returns a draw in [0, 1) per (key, position); arguments as in `bits`.

    >>> key = hash64(pa.array(["0123456789abcdef" * 2]))
    >>> a = uniform(key, seed=1, operation="split")
    >>> bool(a == uniform(key, seed=1, operation="split")), bool(0 <= a[0] < 1)
    (True, True)
    """
    # The 53 bits a float64 holds: with all 64, some draws would be rounded up to 1.
    drawn = bits(keys, seed=seed, operation=operation, variant=variant, position=position)
    return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53
