"""DICT-MLM: MLM in which a word of a dictionary stands for its translation half of the time.

    predict_synonym    input [MASK] (80/10/10)    label: the translation
    from_synonym       input: the translation     label: the original word

For a selected position whose word is in the dictionary, with probability 0.5; every other selected
position is that of MLM.

Source: the DICT-MLM baseline of ALIGN-MLM (arXiv 2211.08547), section 4 (Chaudhary et al. 2020).
The two variants are named by us: the first is what the text describes, the second what the released
code does. Two more details of that code are options, off by default: `swap_language` and
`random_rows`. A third is not followed: of the selected words that have no translation it leaves
half unmasked, a slip; here they are masked 80/10/10. Its attention dropout of 0.1 is a matter of
`model.config`.

Our choices: only words that are one token and have a translation of one token take part; the words
of a text are those of its language's segmenter, also where no spaces part them; a word is looked up
among those of its own language, without case and vowel signs; the translation is drawn by its
probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import torch

from bitextile.kernels.arrays import I64
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import Kind
from bitextile.trainer.data.collate import Collation, MaskedBatch, Selection, pack_selection, select
from bitextile.trainer.data.examples import Example, join
from bitextile.trainer.data.masking import Masking, draws
from bitextile.trainer.data.seeds import run_seed
from bitextile.trainer.data.tokens import Tokenizer, truncate
from bitextile.trainer.data.words import one_piece_words, word_spans
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
        swap_language: see the top of this file, like the next.
        random_rows: rows of the vocabulary that random tokens come from; None for all.
    """

    max_length: int
    entries: TokenEntries
    variant: Variant = "predict_synonym"
    rate: float = 0.5
    swap_language: bool = False
    random_rows: int | None = None
    name: str = "dict_mlm"

    @classmethod
    def build(
        cls, settings: DictMlmSettings, tokenizer: Tokenizer, *, max_length: int, seed: int
    ) -> "DictMlm":
        """Reads the dictionary and returns the objective of an entry."""
        fraction = settings.lexicon_fraction
        common = run_seed(seed)
        entries = token_entries(settings.lexicon, tokenizer, fraction=fraction, seed=common)
        n_rows = settings.random_rows
        if n_rows is not None and not (tokenizer.ordinary < n_rows).any():
            raise ConfigError(
                f"dict_mlm: random_rows is {n_rows}, but the first {n_rows} tokens are all "
                "special; give a larger number, or leave it out"
            )
        return cls(
            max_length,
            entries,
            variant=settings.variant,
            rate=settings.rate,
            swap_language=settings.swap_language,
            random_rows=n_rows,
        )

    @property
    def languages(self) -> tuple[str, ...]:
        """Tags that need a language embedding besides those of the dataset."""
        return tuple(sorted(set(self.entries.languages))) if self.swap_language else ()

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read, those of MLM."""
        return Mlm(self.max_length).columns(kind)

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns one sentence per row, cut at a word where it is too long."""
        ids, keys = records(rows)
        texts = pick_side(rows, [int(k) + int(e) for k, e in zip(keys, epochs)])
        sides = tokenizer.encode([text for _, text in texts])
        examples = []
        for i, (side, words) in enumerate(zip(sides, word_spans(texts))):
            language, text = texts[i]
            side = truncate(side, self.max_length - 2, text)
            # -1 for [CLS] and [SEP]: a row for each token of the input.
            rows_of_tokens = np.full(len(side.ids) + 2, -1, np.int32)
            for word, place in one_piece_words(tokenizer, side, text, words).items():
                start, end = words[word]
                rows_of_tokens[place + 1] = self.entries.row(language, text[start:end])
            inputs = (join(tokenizer, side, languages=(language,)),)
            example = Example(ids[i], keys[i], int(epochs[i]), inputs, side.n_truncated)
            examples.append(replace(example, translations=rows_of_tokens))
        return examples

    def collate(self, examples: Sequence[Example], collation: Collation) -> MaskedBatch:
        """Returns packed rows, some of whose inputs or targets are translations."""
        masking = collation.masking
        if self.random_rows is not None:
            ordinary = masking.ordinary[masking.ordinary < self.random_rows]
            masking = replace(masking, ordinary=ordinary)
        selection = select(examples, masking)
        at, chosen = self._translated(examples, selection, masking)
        shown, targets = selection.shown.copy(), selection.flat.tokens.copy()
        # One of the two changes: the label, under an input masked 80/10/10 as ever, or the input,
        # whatever masking had put there.
        changed = targets if self.variant == "predict_synonym" else shown
        changed[at] = self.entries.translations[chosen]
        packed, flat_indices = pack_selection(selection, collation, shown=shown)
        if self.swap_language and packed.languages is not None:
            index = collation.languages or {}
            swapped = [index[self.entries.languages[c]] for c in chosen]
            packed.languages.view(-1)[torch.from_numpy(flat_indices[at])] = torch.tensor(
                swapped, dtype=torch.int64
            )
        predicted = selection.selected
        return MaskedBatch(
            packed,
            torch.from_numpy(flat_indices[predicted]),
            torch.from_numpy(targets[predicted].astype(np.int64)),
        )

    def _translated(
        self, examples: Sequence[Example], selection: Selection, masking: Masking
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns which elements are translated, and to which of the entries' translations."""
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
