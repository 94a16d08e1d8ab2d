"""Words of a lexicon that a report shows, from the most frequent to the rarest."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.drawing.typeset import sanitized
from bitextile.schema.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class LexiconWord:
    """A lexicon word with its translations, best first: (word, probability, count)."""

    key: str
    src_lang: str
    tgt_lang: str
    word: str
    count: int
    translations: tuple[tuple[str, float, int], ...]


def lexicon_words(dataset: Dataset, n_words: int) -> list[LexiconWord]:
    """Returns words from the most frequent to the rarest, each with its best translations.

    Args:
        dataset: of kind lexicon.
        n_words: words per key at most (not punctuation), at ranks even in their logarithm.
    """
    return [word for key in dataset.keys for word in _words_of_key(dataset, key, n_words)]


def _words_of_key(dataset: Dataset, key: str, n_words: int) -> Iterator[LexiconWord]:
    totals: dict[tuple[str, str, str], int] = {}
    for batch in dataset.batches(key=key, columns=["src_lang", "tgt_lang", "src", "count"]):
        for *word, count in zip(*(column.to_pylist() for column in batch.columns)):
            # Punctuation and numbers are the most frequent entries and show nothing.
            if any(map(str.isalpha, word[2])):
                place = (word[0], word[1], word[2])
                totals[place] = totals.get(place, 0) + count
    ranked = sorted(totals, key=lambda word: (-totals[word], word))
    # Word frequencies are Zipfian: ranks evenly spaced would be rare words nearly all. Rank 1 is
    # always among them.
    ranks = sorted({round(len(ranked) ** (i / max(n_words - 1, 1))) for i in range(n_words)})
    chosen = [ranked[rank - 1] for rank in ranks if rank <= len(ranked)]
    found = _translations(dataset, key, set(chosen))
    for src_lang, tgt_lang, word in chosen:
        best = sorted(found[src_lang, tgt_lang, word], key=lambda t: (-t[1], t[0]))
        yield LexiconWord(
            key=key,
            src_lang=src_lang,
            tgt_lang=tgt_lang,
            word=sanitized(word, 60),
            count=totals[src_lang, tgt_lang, word],
            translations=tuple(best[:4]),
        )


def _translations(
    dataset: Dataset, key: str, words: set[tuple[str, str, str]]
) -> dict[tuple[str, str, str], list[tuple[str, float, int]]]:
    found: dict[tuple[str, str, str], list[tuple[str, float, int]]] = {w: [] for w in words}
    # A second pass for a few words needs less memory than keeping all translations in the first.
    texts = pa.array(sorted({word for _, _, word in words}), pa.string())
    for batch in dataset.batches(key=key):
        for row in batch.filter(pc.is_in(batch.column("src"), value_set=texts)).to_pylist():
            place = (row["src_lang"], row["tgt_lang"], row["src"])
            if place in found:
                translation = (sanitized(row["tgt"], 60), row["p_tgt_given_src"], row["count"])
                found[place].append(translation)
    return found
