"""The seed of an entry of the mixture, so that entries on one dataset draw apart.

Without it two entries that read the same rows would read them in the same order and mask the same
words, and the second would add little to the first.
"""

_ENTRY_BITS = 64
"""Seeds of runs are below 2^64, as torch takes them."""


def entry_seed(seed: int, entry: int) -> int:
    """Returns the seed that the order, the masks and the coins of an entry are drawn from.

    No two entries of any runs share one. The first entry's is the run's own: a run of one entry
    draws from the seed it was given.

    Args:
        seed: of the run.
        entry: index in the mixture.

    >>> entry_seed(7, 0), entry_seed(7, 2)
    (7, 36893488147419103239)
    """
    return seed + (entry << _ENTRY_BITS)


def run_seed(seed: int) -> int:
    """Returns the run's seed from that of one of its entries.

    For what entries have in common: a part of a lexicon is the same whichever entry learns from it.

    >>> run_seed(entry_seed(7, 2))
    7
    """
    return seed & ((1 << _ENTRY_BITS) - 1)
