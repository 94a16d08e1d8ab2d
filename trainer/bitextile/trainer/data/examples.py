"""One training example before masking: the shape in which objectives hand rows to the collator."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitextile.trainer.data.tokens import I32, Bool


@dataclass(frozen=True)
class SubwordLinks:
    """A row-normalised link matrix between the subwords of one input, as its non-zero entries.

    Attributes:
        rows: [e] position that receives.
        columns: [e] position that gives.
        weights: [e] float32; those of one row add up to 1.
    """

    rows: I32
    columns: I32
    weights: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """One input sequence.

    Attributes:
        record: id of the row it came from, with the variant where rows have one.
        key: the 64 bits that every draw about it is keyed by.
        epoch: how often its stream had been read before; makes masks differ.
        tokens: [L] ids with special tokens, unmasked.
        maskable: [L] True where a position may be selected for prediction.
        n_cut: subwords that did not fit.
        links: for weam.
    """

    record: str
    key: np.uint64
    epoch: int
    tokens: I32
    maskable: Bool
    n_cut: int = 0
    links: SubwordLinks | None = None
