"""Code-switching by dictionary: words replaced by translations that fit the word, not the context.

    en  The dog runs.   +  dog: Hund (de), 犬 (ja)   ->   The 犬 runs.   or   The Hund runs.

A word is looked up as it is written, then folded (`folding.fold_word`), so "Polish" finds
"Polish" before "polish", and "Dog" finds "dog". Among the languages that know a word one is drawn
by weight, then one of its translations by probability.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import I64, offsets_of
from bitextile.kernels.bitext.dictionary.source import Dictionary, DictionarySource, read_dictionary
from bitextile.kernels.bitext.sides import Sides, check_sides
from bitextile.kernels.rows import takes_tables
from bitextile.kernels.switch.core import (
    Substitutes,
    SwitchConfig,
    SwitchInput,
    SwitchOutput,
    Targets,
    check_weights,
    shares,
    switch,
    word_targets,
)
from bitextile.kernels.text.codepoints import cut, has_letter, to_texts
from bitextile.kernels.text.fixed import replaceable
from bitextile.kernels.text.folding import fold_word
from bitextile.kernels.text.segment import segment
from bitextile.kernels.text.words import SegmentedTexts, segmented_texts
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError
from bitextile.schema.fromtext import Language
from bitextile.schema.kinds import ALIGNED, MONO, PAIRS, SIDES, Kind

METHOD = "dictionary"


@dataclass(frozen=True, kw_only=True)
class DictionarySwitchConfig(SwitchConfig):
    """How much is switched, and in which sentences."""

    method: Literal["dictionary"] = "dictionary"
    """Words by their translations in dictionaries."""
    sides: Sides = "both"
    """Which sentences of a pair are switched. Of both, each gives a row of its own; monolingual
    rows have one sentence."""
    weights: dict[Language, float] = field(default_factory=dict)
    """Sampling weight of each language that dictionaries translate into; others weigh 1."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        super().__post_init__()
        check_sides(self.sides)
        check_weights(self.weights)


class Index(NamedTuple):
    """Dictionaries of one source language, ready to be looked up.

    Attributes:
        lang: of the words.
        exact: word as written to its group of substitutes.
        folded: folded word to a group.
        offsets: [groups + 1] into the substitutes.
        substitutes: of all groups.
    """

    lang: str
    exact: dict[str, int]
    folded: dict[str, int]
    offsets: I64
    substitutes: Substitutes

    def groups(self, words: Sequence[str]) -> I64:
        """Returns the group of each word, -1 for one that no dictionary knows."""
        exact, folded = self.exact, self.folded
        # As written first: lower-cased, "Polish" and "polish" would share their translations.
        found = [exact[w] if w in exact else folded.get(fold_word(w, self.lang), -1) for w in words]
        return np.array(found, np.int64)


def index_of(dictionaries: Sequence[Dictionary]) -> dict[str, Index]:
    """Returns an index for each source language of the dictionaries.

    Entries whose two sides are equal but for case ("Paris" for "Paris", many in MUSE) switch
    nothing and are left out, as are words without a letter.

    Args:
        dictionaries: any number, of any languages.

    Raises:
        ConfigError: two are of the same languages and give them different weights.
    """
    languages = dict.fromkeys(d.source.src_lang for d in dictionaries)
    _check_weights(dictionaries)
    return {
        lang: _index(lang, [d for d in dictionaries if d.source.src_lang == lang])
        for lang in languages
    }


@functools.cache
def load_index(sources: tuple[DictionarySource, ...]) -> dict[str, Index]:
    """Reads dictionaries, once per process, and returns their index; see `index_of`.

    Args:
        sources: with format and columns determined, as `read_dictionary` returns them.
    """
    return index_of([read_dictionary(source) for source in sources])


@takes_tables
def switch_by_dictionary(
    batch: pa.RecordBatch, *, index: dict[str, Index], config: DictionarySwitchConfig
) -> SwitchOutput:
    """Replaces words of each sentence by their translations in dictionaries.

    A word is eligible if a dictionary of its sentence's language knows it.

    Args:
        batch: [n] rows of kind mono, pairs or aligned; words of the first two are segmented.
        index: source language to dictionaries.
        config: rates, sides, variants, seed.

    Returns:
        As `core.switch` does; a sentence without eligible words has its words as value. The
        inputs are "text", or "src" and "tgt". A sentence of a language without dictionary has no
        eligible words.

    Raises:
        RowError: a span lies outside its text, or spans overlap.
    """
    kind = kind_of(batch)
    check_rows(batch, kind, "codeswitch")
    sides = ("text",) if kind is MONO else SIDES[config.sides]
    inputs = [given for side in sides for given in _inputs(batch, kind, side=side, index=index)]
    return switch(inputs, config=config, method=METHOD)


def kind_of(batch: pa.RecordBatch) -> Kind:
    """Returns whether rows are of kind mono, pairs or aligned; aligned exchange rows count too."""
    names = set(batch.schema.names)
    return MONO if "text" in names else ALIGNED if "src_spans" in names else PAIRS


def _inputs(
    batch: pa.RecordBatch, kind: Kind, *, side: str, index: dict[str, Index]
) -> Iterator[SwitchInput]:
    """Yields the sentences of one side, language by language."""
    langs = batch.column("lang" if kind is MONO else f"{side}_lang")
    # Segmenter and index are chosen by language; a batch may mix them.
    for lang in langs.unique().to_pylist():
        numbers = np.flatnonzero(pc.equal(langs, lang).to_numpy(zero_copy_only=False))
        # Mostly one language: no copy then.
        rows = batch if len(numbers) == len(langs) else batch.take(pa.array(numbers))
        spans = (
            rows.column(f"{side}_spans") if kind is ALIGNED else segment(rows.column(side), lang)
        )
        words = segmented_texts(rows.column(side), spans)
        targets, substitutes = _known_words(words, index.get(lang) or _index(lang, []))
        yield SwitchInput(
            side=side,
            rows=numbers,
            batch=rows,
            ids=rows.column(0),
            lang=langs.take(pa.array(numbers)),
            texts=words.texts,
            targets=targets,
            substitutes=substitutes,
            n_words=np.diff(words.words),
        )


def _known_words(words: SegmentedTexts, index: Index) -> tuple[Targets, Substitutes]:
    """Returns the words that the dictionaries know, with their translations."""
    # Each distinct spelling is looked up once in a batch; words repeat much.
    spelled = cut(words.texts, words.starts, words.ends).dictionary_encode()
    group = index.groups(spelled.dictionary.to_pylist())
    if len(group):
        group = group[spelled.indices.to_numpy()]
    # -1 would index the last offset; it is left out before `offsets` is asked.
    known = np.flatnonzero((group >= 0) & replaceable(words.texts, words.starts, words.ends))
    low, high = index.offsets[group[known]], index.offsets[group[known] + 1]
    return word_targets(words, known, low=low, high=high), index.substitutes


# --- building -----------------------------------------------------------------------------------


def _check_weights(dictionaries: Sequence[Dictionary]) -> None:
    weights: dict[tuple[str, str], float] = {}
    for d in dictionaries:
        languages = (d.source.src_lang, d.source.tgt_lang)
        if weights.setdefault(languages, d.source.weight) != d.source.weight:
            raise ConfigError(
                f"{d.source.path} gives {languages[1]} the weight {d.source.weight:g}, another "
                f"dictionary of it {weights[languages]:g}; a language has one weight"
            )


def _index(lang: str, dictionaries: Sequence[Dictionary]) -> Index:
    """Returns the index of dictionaries of one source language.

    Substitutes stand in groups: one for each word as written, then one for each folded word.
    """
    columns: dict[str, list] = {name: [] for name in ("src", "tgt", "p", "number")}
    for number, dictionary in enumerate(dictionaries):
        entries = dictionary.entries
        for name in ("src", "tgt", "p"):
            columns[name] += entries.column(name).to_pylist()
        columns["number"] += [number] * entries.num_rows
    # Each entry stands in two groups, that of the word as written and that of the folded word:
    #
    #     entries    Polish -> polnisch     polish -> polieren
    #     exact      Polish: 0   polish: 1      folded   polish: 2
    #     groups     0 [polnisch]   1 [polieren]   2 [polnisch, polieren]
    folded = [fold_word(word, lang) for word in columns["src"]]
    use: list[int] = [
        k
        for k, (src, tgt) in enumerate(zip(folded, columns["tgt"]))
        if has_letter(src) and src != fold_word(tgt, lang)
    ]
    p = np.array(columns["p"], np.float32)[use]
    origin = np.array(columns["number"], np.int64)[use]
    texts = to_texts(pa.array([columns["tgt"][k] for k in use], pa.string()))
    exact, exact_group = _numbered([columns["src"][k] for k in use])
    caseless, folded_group = _numbered([folded[k] for k in use])
    group = np.concatenate([exact_group, folded_group + len(exact)])
    entry = np.tile(np.arange(len(use)), 2)
    # Stable: within a group translations stay in the order of the dictionaries, on any machine.
    order = np.argsort(group, kind="stable")
    group, entry = group[order], entry[order]
    share = shares(_weights(dictionaries, group, origin[entry], p[entry]), group)
    sources = tuple((d.source.tgt_lang, d.source.name) for d in dictionaries)
    substitutes = Substitutes(
        texts.points,
        texts.offsets[entry],
        texts.offsets[entry + 1],
        share,
        p[entry],
        origin[entry],
        sources,
    )
    offsets = offsets_of(np.bincount(group, minlength=len(exact) + len(caseless)))
    folded_groups = {word: number + len(exact) for word, number in caseless.items()}
    return Index(lang, exact, folded_groups, offsets, substitutes)


def _numbered(words: list[str]) -> tuple[dict[str, int], I64]:
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    return numbers, np.array([numbers[word] for word in words], np.int64)


def _weights(
    dictionaries: Sequence[Dictionary], group: I64, number: I64, p: np.ndarray
) -> np.ndarray:
    """Returns each substitute's weight: that of its language, shared out by p within the group."""
    langs = list(dict.fromkeys(d.source.tgt_lang for d in dictionaries))
    lang = np.array([langs.index(d.source.tgt_lang) for d in dictionaries], np.int64)[number]
    weight = np.array([d.source.weight for d in dictionaries], float)[number]
    cell = group * len(langs) + lang
    # A foreign lexicon may hold a probability of 0, and a group of nothing else would divide by 0.
    positive = np.maximum(p.astype(np.float64), 1e-9)
    return weight * positive / np.bincount(cell, weights=positive)[cell]
