"""A `lexicon` dataset as the objectives that learn from a dictionary use it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import regex

from bitextile.kernels.arrays import F64, I64
from bitextile.kernels.filters.words import UNSPACED
from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.text.folding import fold_word
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import DatasetError
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import LEXICON
from bitextile.schema.languages import canonical_tag
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.data.words import one_piece_words

_UNSPACED = regex.compile(rf"[{UNSPACED}]")


@dataclass(frozen=True)
class SubwordEntries:
    """Dictionary pairs as bags of subwords, one behind the other.

    Attributes:
        src: ids of all source words.
        src_starts: [n] where each begins.
        tgt: ids of all target words.
        tgt_starts: [n] where each begins.
        words: [n] the words themselves.
    """

    src: I64
    src_starts: I64
    tgt: I64
    tgt_starts: I64
    words: tuple[tuple[str, str], ...]

    def take(self, rows: I64) -> "SubwordEntries":
        """Returns some of the pairs, in the order of `rows`."""
        src, src_starts = _ragged_take(self.src, self.src_starts, rows)
        tgt, tgt_starts = _ragged_take(self.tgt, self.tgt_starts, rows)
        words = tuple(self.words[r] for r in rows)
        return SubwordEntries(src, src_starts, tgt, tgt_starts, words)


@dataclass(frozen=True)
class TokenEntries:
    """Translations of words that are one token, to words that are one token.

    Attributes:
        rows: row of each word, by its language and as `fold_word` compares it.
        translations: ids of the translations of all rows, one behind the other.
        languages: as `translations`: their languages.
        starts: [rows + 1] where each row begins and ends.
        cumulative: as `translations`: probability of it and those before it in its row, ending
            at 1.
    """

    rows: dict[tuple[str, str], int]
    translations: I64
    languages: tuple[str, ...]
    starts: I64
    cumulative: F64

    def row(self, lang: str, word: str) -> int:
        """Returns the row of a word in text of a language, -1 where the dictionary has none.

        A word holds for its own language only: an English "am" says nothing of a German one. Text
        of a variety (pt-BR, zh-Hant) is looked up in a dictionary of the language (pt, zh) too.

        Args:
            lang: canonical tag.
            word: as it stands in the text.
        """
        while True:
            found = self.rows.get((lang, fold_word(word, lang)), -1)
            if found >= 0 or "-" not in lang:
                return found
            lang = lang.rpartition("-")[0]

    def draw(self, rows: I64, uniforms: F64) -> I64:
        """Returns an index into `translations` for each row.

        Args:
            rows: [n].
            uniforms: [n] the numbers in [0, 1) that were drawn for them.
        """
        # Row r occupies r to r + 1 of one ascending line, so one bisection serves all.
        line = self.cumulative + np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        # The minimum: r + u may round up to r + 1.
        at = np.searchsorted(line, rows + uniforms, side="right")
        return np.minimum(at, self.starts[rows + 1] - 1)


def subword_entries(
    path: str, tokenizer: Tokenizer, *, fraction: float, seed: int
) -> SubwordEntries:
    """Reads every pair of a lexicon that the tokenizer knows; a word is a bag of its subwords.

    Args:
        path: of a `lexicon` dataset.
        tokenizer: the tokenizer.
        fraction: of the pairs to use, drawn from the seed (ALIGN-MLM: 25, 50 or 100 %).
        seed: of the run.

    Raises:
        SchemaError: another kind than lexicon.
        DatasetError: the dataset is not whole, or no pair is left to learn from.
    """
    table = _pairs(path, fraction=fraction, seed=seed)
    src, tgt = table.column("src").to_pylist(), table.column("tgt").to_pylist()
    # Both words known, or none: an unknown subword has no embedding worth pulling at.
    known = [
        (s, t, pair)
        for s, t, pair in zip(_ids(tokenizer, src), _ids(tokenizer, tgt), zip(src, tgt))
        if _known(tokenizer, s) and _known(tokenizer, t)
    ]
    if not known:
        raise DatasetError(
            f"{path}: the tokenizer knows both words of no pair of the lexicon; give a lexicon of "
            "its languages"
        )
    src_bags = _ragged([s for s, _, _ in known])
    tgt_bags = _ragged([t for _, t, _ in known])
    return SubwordEntries(*src_bags, *tgt_bags, tuple(pair for _, _, pair in known))


def token_entries(path: str, tokenizer: Tokenizer, *, fraction: float, seed: int) -> TokenEntries:
    """Reads the pairs of a lexicon whose words are one token each, in both directions.

    Args:
        path: of a `lexicon` dataset.
        tokenizer: the tokenizer.
        fraction: of the pairs to use, drawn from the seed.
        seed: of the run.

    Raises:
        SchemaError: another kind than lexicon.
        DatasetError: the dataset is not whole, or no pair is one token to one token.
    """
    table = _pairs(path, fraction=fraction, seed=seed)
    pairs = table.select(["src_lang", "src", "tgt_lang", "tgt"]).to_pylist()
    src, tgt = (
        _single_tokens(tokenizer, [pair[side] for pair in pairs]) for side in ("src", "tgt")
    )
    forward, back = (table.column(c).to_pylist() for c in ("p_tgt_given_src", "p_src_given_tgt"))
    # The row of a word: (token of a translation, its language, its probability).
    found: dict[tuple[str, str], list[tuple[int, str, float]]] = {}
    for pair, s, t, p_tgt, p_src in zip(pairs, src, tgt, forward, back):
        # One token on both sides: a label is one id, and an input keeps its length.
        if s is None or t is None:
            continue
        src_lang, tgt_lang = canonical_tag(pair["src_lang"]), canonical_tag(pair["tgt_lang"])
        word = src_lang, fold_word(pair["src"], src_lang)
        found.setdefault(word, []).append((t, tgt_lang, p_tgt))
        word = tgt_lang, fold_word(pair["tgt"], tgt_lang)
        found.setdefault(word, []).append((s, src_lang, p_src))
    if not found:
        raise DatasetError(
            f"{path}: no pair of the lexicon is one token to one token, which dict_mlm learns "
            "from; give a lexicon of frequent words or a larger vocabulary"
        )
    ids, starts = _ragged([np.asarray([i for i, _, _ in row]) for row in found.values()])
    # A probability that was rounded to 0 may still be drawn, so that no row adds up to 0.
    shares = [np.cumsum([max(p, 1e-9) for _, _, p in row]) for row in found.values()]
    return TokenEntries(
        {word: r for r, word in enumerate(found)},
        ids,
        tuple(lang for row in found.values() for _, lang, _ in row),
        np.append(starts, len(ids)),
        np.concatenate([c / c[-1] for c in shares]),
    )


def _single_tokens(tokenizer: Tokenizer, words: list[str]) -> list[int | None]:
    """Returns the token of each word that is one; None for any other."""
    found: list[int | None] = []
    for word, side in zip(words, tokenizer.encode(words)):
        place = one_piece_words(tokenizer, side, word, [(0, len(word))]).get(0)
        # Where words are set apart, one without its mark would be written to the word before it.
        # Elsewhere the mark is what a text begins with.
        whole = len(side.ids) == 1 or _UNSPACED.search(word) is not None
        found.append(int(side.ids[place]) if place is not None and whole else None)
    return found


def _pairs(path: str, *, fraction: float, seed: int) -> pa.Table:
    table = open_dataset(path, LEXICON).table()
    if not len(table):
        raise DatasetError(f"{path}: the lexicon has no pair to learn from; leave the entry out")
    if fraction >= 1.0:
        return table
    # Drawn by the entry, not by its row: a lexicon that grows keeps what was chosen of it.
    names = zip(*(table.column(c).to_pylist() for c in LEXICON.id_columns))
    keys = hash64(pa.array([stable_id("\t".join(name)) for name in names], pa.string()))
    chosen = table.filter(pa.array(uniform(keys, seed=seed, operation="lexicon/share") < fraction))
    if not len(chosen):
        raise DatasetError(
            f"{path}: of {len(table)} pairs lexicon_fraction {fraction} takes none; raise it"
        )
    return chosen


def _known(tokenizer: Tokenizer, ids: np.ndarray) -> bool:
    """Says whether a word is all ordinary subwords: the unknown token stands for too many words."""
    return len(ids) > 0 and bool(tokenizer.is_ordinary[ids].all())


def _ids(tokenizer: Tokenizer, words: list[str]) -> list[np.ndarray]:
    return [side.ids for side in tokenizer.encode(words)]


def _ragged(parts: Sequence[np.ndarray]) -> tuple[I64, I64]:
    ends = np.cumsum([len(p) for p in parts])
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    return np.concatenate(parts).astype(np.int64), starts


def _ragged_take(values: I64, starts: I64, rows: I64) -> tuple[I64, I64]:
    ends = np.append(starts[1:], len(values))
    return _ragged([values[starts[r] : ends[r]] for r in rows])
