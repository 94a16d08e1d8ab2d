"""What objectives make of rows, before masking: examples, each of one or more input sequences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bitextile.kernels.arrays import F32, I8, I32, I64, Bool
from bitextile.trainer.data.tokens import Encoding, Tokenizer


@dataclass(frozen=True)
class Input:
    """One input sequence.

    Attributes:
        tokens: [L] ids with special tokens, unmasked.
        maskable: [L] True where a position may be selected for prediction.
        sides: [L] 0 in the first sentence, 1 in the second; the leading special token is part of
            the first, each separator of the sentence that it ends.
        languages: tag of each sentence.
    """

    tokens: I32
    maskable: Bool
    sides: I8
    languages: tuple[str, ...]


def join(tokenizer: Tokenizer, *sides: Encoding, languages: tuple[str, ...]) -> Input:
    """Returns `[CLS] s [SEP] t [SEP]`, or `[CLS] s [SEP]` of one side.

    Special tokens are not maskable, nor is an unknown word: nothing can be learned from predicting
    it.

    Args:
        tokenizer: the tokenizer.
        sides: one or two sentences.
        languages: tag of each.
    """
    parts = [np.asarray([tokenizer.cls], np.int32)]
    for side in sides:
        # One separator between sentences, for every tokenizer: XLM-R's own template has two there.
        parts += [side.ids, np.asarray([tokenizer.sep], np.int32)]
    tokens = np.concatenate(parts)
    # [CLS] a b [SEP] x [SEP] -> sides 0 0 0 0 1 1: the first has [CLS] besides its separator.
    lengths = [len(side.ids) + 1 + (i == 0) for i, side in enumerate(sides)]
    which = np.repeat(np.arange(len(sides), dtype=np.int8), lengths)
    # is_ordinary is False for the unknown token too.
    return Input(tokens, tokenizer.is_ordinary[tokens], which, languages)


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
    weights: F32


@dataclass(frozen=True)
class Example:
    """What one row gives.

    Attributes:
        record: id of the row it came from, with the variant where rows have one.
        key: the 64 bits that every draw about it is keyed by.
        epoch: how often its stream had been read before; makes masks differ.
        inputs: what is masked and predicted; several where a long text was split.
        n_truncated: subwords that did not fit and are lost.
        links: for weam, between the positions of the only input.
        sentences: for moco, the query and the key sentence.
        sentence_ids: for moco, ids of the query and the key sentence, then those of further
            translations of either.
        translations: for dict_mlm, [L] row of its dictionary for each position of the only input,
            -1 where there is none.
    """

    record: str
    key: np.uint64
    epoch: int
    inputs: tuple[Input, ...]
    n_truncated: int = 0
    links: SubwordLinks | None = None
    sentences: tuple[Input, Input] | None = None
    sentence_ids: I64 | None = None
    translations: I32 | None = None

    @property
    def n_tokens(self) -> int:
        """Tokens of all its sequences: what it takes of a budget."""
        return sum(len(i.tokens) for i in (*self.inputs, *(self.sentences or ())))


def batch_by_tokens(max_tokens: int, examples: Sequence[Example]) -> Iterator[list[Example]]:
    """Yields runs of examples of at most `max_tokens` tokens, or of one example."""
    group: list[Example] = []
    left = max_tokens
    for example in examples:
        # An example longer than the budget makes a batch alone: an objective needs all of it.
        if group and example.n_tokens > left:
            yield group
            group, left = [], max_tokens
        group.append(example)
        left -= example.n_tokens
    if group:
        yield group
