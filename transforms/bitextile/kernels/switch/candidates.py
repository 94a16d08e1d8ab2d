"""Code-switching by a model: words replaced by what an encoder suggests (SALT, arXiv 2309.10891).

en  The dog runs.   +  dog: Hund .4, 犬 .2, chien .1   ->   The 犬 runs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import list_offsets, offsets_of, rows_of
from bitextile.kernels.rows import takes_tables
from bitextile.kernels.switch.core import (
    Substitutes,
    SwitchConfig,
    SwitchInput,
    SwitchOutput,
    shares,
    switch,
    word_targets,
)
from bitextile.kernels.text.codepoints import cut, to_texts
from bitextile.kernels.text.fixed import replaceable
from bitextile.kernels.text.words import segmented_texts
from bitextile.schema.checks import check_rows
from bitextile.schema.kinds import CANDIDATES

METHOD = "candidates"
ORIGIN = "model"
"""Where a substitute comes from, as replacements say it beside "link" and a dictionary's name."""


@dataclass(frozen=True, kw_only=True)
class CandidatesSwitchConfig(SwitchConfig):
    """How much is switched."""

    method: Literal["candidates"] = "candidates"
    """Words by what a model would put in their place."""


@takes_tables
def switch_by_candidates(batch: pa.RecordBatch, *, config: CandidatesSwitchConfig) -> SwitchOutput:
    """Replaces words by candidates of a model, drawn in proportion to their probability.

    A word is eligible if it has a candidate of a score above 0 that is not the word itself.

    Args:
        batch: [n] rows of kind candidates.
        config: rates (SALT: every sentence, token rate 0.3), variants, seed.

    Returns:
        As `core.switch` does, one input "text"; a sentence without eligible words has its
        words as value.

    Raises:
        RowError: a span lies outside its text, or candidates and spans differ in number.
    """
    check_rows(batch, CANDIDATES, "codeswitch")
    words = segmented_texts(batch.column("text"), batch.column("spans"))
    per_word = batch.column("candidates").flatten()
    flat = per_word.flatten()
    word = rows_of(list_offsets(per_word))
    spelled = cut(words.texts, words.starts, words.ends)
    other = pc.not_equal(flat.field("text"), spelled.take(pa.array(word)))
    usable = other.to_numpy(zero_copy_only=False) & (flat.field("score").to_numpy() > 0)
    # Datasets are checked for spans and links, not for an empty text; replacing a word by nothing
    # would make two words of its neighbours meet.
    usable &= pc.greater(pc.utf8_length(flat.field("text")), 0).to_numpy(zero_copy_only=False)
    # A word whose edge is within a grapheme cluster (a mark of the next word on it), or which
    # holds an address or a placeholder, is left alone.
    usable &= replaceable(words.texts, words.starts, words.ends)[word]
    use = np.flatnonzero(usable)
    eligible, target = np.unique(word[use], return_inverse=True)
    # Candidates stand word by word, so those of target k are `bounds[k]` to `bounds[k + 1]`.
    bounds = offsets_of(np.bincount(target, minlength=len(eligible)))
    given = SwitchInput(
        side="text",
        rows=np.arange(batch.num_rows),
        batch=_with_provenance(batch),
        ids=batch.column("text_id"),
        lang=batch.column("lang"),
        texts=words.texts,
        targets=word_targets(words, eligible, low=bounds[:-1], high=bounds[1:]),
        substitutes=_substitutes(flat.take(pa.array(use)), target),
        n_words=np.diff(words.words),
    )
    return switch([given], config=config, method=METHOD)


def _substitutes(candidates: pa.StructArray, target: np.ndarray) -> Substitutes:
    """Returns candidates, of which `target` names the word, as substitutes."""
    texts = to_texts(candidates.field("text"))
    score = candidates.field("score").to_numpy()
    lang = candidates.field("lang").dictionary_encode()
    return Substitutes(
        texts.points,
        texts.offsets[:-1],
        texts.offsets[1:],
        shares(score.astype(np.float64), target),
        score,
        lang.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        tuple((name, ORIGIN) for name in lang.dictionary.to_pylist()),
    )


def _with_provenance(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the rows with the columns that rejects have and candidates have not, empty."""
    n = batch.num_rows
    # Candidates were made from sentences whose provenance their dataset has; rejects name the
    # sentence by its id.
    columns = {name: batch.column(name) for name in ("text_id", "lang", "text")}
    columns |= {"corpus": pa.repeat("", n), "file": pa.repeat("", n)}
    return pa.RecordBatch.from_pydict(columns | {"line": pa.array(np.zeros(n, np.int64))})
