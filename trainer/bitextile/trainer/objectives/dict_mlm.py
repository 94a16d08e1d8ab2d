"""DICT-MLM: MLM in which a word of a dictionary stands for its translation half of the time.

    predict_synonym    input [MASK] (80/10/10)    label: the translation
    from_synonym       input: the translation     label: the original word

For a selected position whose word is in the dictionary, with probability 0.5; every other selected
position is that of MLM.

Source: the DICT-MLM baseline of ALIGN-MLM (arXiv 2211.08547), section 4 (Chaudhary et al. 2020).
The two variants are named by us: the first is what the text describes, the second what the released
code does. Our choices: only words that are one token and have a translation of one token take part;
a word is looked up lower-cased, as a lexicon holds it; the translation is drawn by its probability.
A word ends where no letter goes on, so none is found in scripts without spaces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from unicodedata import category

import numpy as np
import pyarrow as pa
import torch

from bitextile.kernels.arrays import I32, I64
from bitextile.schema.kinds import Kind
from bitextile.trainer.data.collate import Collation, MaskedBatch, Selection, pack_selection, select
from bitextile.trainer.data.examples import Example, join
from bitextile.trainer.data.masking import Masking, draws
from bitextile.trainer.data.tokens import Encoding, Tokenizer, truncate
from bitextile.trainer.losses import LossSum
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.config import DictMlmSettings
from bitextile.trainer.objectives.dictionary import TokenEntries, token_entries
from bitextile.trainer.objectives.mlm import Mlm, pick_side, predict
from bitextile.trainer.objectives.objective import records

Variant = Literal["predict_synonym", "from_synonym"]


@dataclass(frozen=True)
class DictMlm:
    """Adapter: the inputs of MLM, with the dictionary row of each whole-word token.

    Attributes:
        max_length: tokens of an input with special tokens.
        entries: the dictionary.
        variant: see the top of this file.
        rate: probability that a selected dictionary word is translated.
    """

    max_length: int
    entries: TokenEntries
    variant: Variant = "predict_synonym"
    rate: float = 0.5
    name: str = "dict_mlm"

    @classmethod
    def build(
        cls, settings: DictMlmSettings, tokenizer: Tokenizer, *, max_length: int, seed: int
    ) -> "DictMlm":
        """Reads the dictionary and returns the objective of an entry."""
        fraction = settings.lexicon_fraction
        entries = token_entries(settings.lexicon, tokenizer, fraction=fraction, seed=seed)
        return cls(max_length, entries, variant=settings.variant, rate=settings.rate)

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read, those of MLM."""
        return Mlm(self.max_length).columns(kind)

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns one sentence per row, cut at a word where it is too long."""
        ids, keys = records(rows)
        texts = pick_side(rows, [int(k) + int(e) for k, e in zip(keys, epochs)])
        examples = []
        for i, side in enumerate(tokenizer.encode([text for _, text in texts])):
            language, text = texts[i]
            side = truncate(side, self.max_length - 2, text)
            # -1 for [CLS] and [SEP]: a row for each token of the input.
            found = np.concatenate([[-1], self._rows(side, text), [-1]]).astype(np.int32)
            inputs = (join(tokenizer, side, languages=(language,)),)
            example = Example(ids[i], keys[i], int(epochs[i]), inputs, side.n_truncated)
            examples.append(replace(example, translations=found))
        return examples

    def _rows(self, side: Encoding, text: str) -> I32:
        """Returns the dictionary row of each token that is a whole word, else -1."""
        words = (
            text[start:end].strip().lower() if _is_word(text, start, end) else ""
            for start, end in side.offsets.tolist()
        )
        return np.fromiter((self.entries.rows.get(w, -1) for w in words), np.int32, len(side.ids))

    def collate(self, examples: Sequence[Example], collation: Collation) -> MaskedBatch:
        """Returns packed rows, some of whose inputs or targets are translations."""
        selection = select(examples, collation.masking)
        at, translations = self._translated(examples, selection, collation.masking)
        shown, targets = selection.shown.copy(), selection.flat.tokens.copy()
        # One of the two changes: the label, under an input masked 80/10/10 as ever, or the input,
        # whatever masking had put there.
        (targets if self.variant == "predict_synonym" else shown)[at] = translations
        packed, flat_indices = pack_selection(selection, collation, shown=shown)
        chosen = selection.selected
        return MaskedBatch(
            packed,
            torch.from_numpy(flat_indices[chosen]),
            torch.from_numpy(targets[chosen].astype(np.int64)),
        )

    def _translated(
        self, examples: Sequence[Example], selection: Selection, masking: Masking
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns which elements are translated, and to what."""
        rows = np.concatenate([e.translations for e in examples if e.translations is not None])
        at = np.flatnonzero(selection.selected & (rows >= 0))
        example = selection.example[at]
        keys = np.asarray([e.key for e in examples], np.uint64)[example]
        epochs = np.asarray([e.epoch for e in examples])[example]
        positions = selection.flat.positions[at]

        def draw(what: str) -> np.ndarray:
            # Below the name of the masks, so that validation draws apart from training here too.
            operation = f"{masking.operation}/dictionary/{what}"
            return draws(keys, epochs, seed=masking.seed, operation=operation, positions=positions)

        hit = draw("whether") < self.rate
        return at[hit], self.entries.draw(rows[at][hit].astype(np.int64), draw("which")[hit])

    def module(self, encoder: Encoder) -> None:
        """Returns None: the encoder and its head are all there is."""

    def losses(
        self, encoder: Encoder, objective_module: None, batch: MaskedBatch
    ) -> dict[str, LossSum]:
        """Returns the one part, `dict_mlm`."""
        return {"dict_mlm": predict(encoder, batch)}

    def weights(self, batch: MaskedBatch) -> dict[str, int]:
        """Returns the number of predicted positions."""
        return {"dict_mlm": len(batch.targets)}


def _is_word(text: str, start: int, end: int) -> bool:
    """Says whether text[start:end] is a word on its own, with nothing of a word beside it."""
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    # A token may have the space before its word in it (SentencePiece).
    starts = not _goes_on(before) or text[start : start + 1].isspace()
    return start < end and starts and not _goes_on(after)


def _goes_on(character: str) -> bool:
    """Says whether a character is inside a word: a letter, a digit, a mark or a joiner.

    >>> [_goes_on(c) for c in ("a", "ا", "\u093e", "\u200c")]  # a vowel sign, ZWNJ
    [True, True, True, True]
    >>> [_goes_on(c) for c in ("-", " ", "\u200b", "")]  # ZWSP parts the words of Thai and Khmer
    [False, False, False, False]
    """
    if character in ("", "\u200b"):
        return False
    return character.isalnum() or category(character) in _MARKS_AND_FORMAT


_MARKS_AND_FORMAT = frozenset({"Mn", "Mc", "Me", "Cf"})
"""General categories: UAX 29 (WB4) has no word boundary before Extend and Format characters."""
