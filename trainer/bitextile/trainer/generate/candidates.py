"""SALT candidates: for each word, what the encoder would predict in its place in other languages.

    input  <s> The dog runs . </s> The [M] runs . </s>        full attention, one input per word
    p(c) = softmax over allowed c of logit_c at [M]

Source: SALT (arXiv 2309.10891), where the multilingual encoder supplies the substitutes; no
parallel data, no dictionary. Our choices, as its code was never published: the unmasked sentence
comes first, as context, since the words around a mask alone do not tell which one is meant; a word
is eligible if it is one token with a letter and no digit in it (words of several tokens would need
several masks and a joint choice); a candidate is a token that occurs as a whole word in text of a
wanted language, relatively more often than in text of any other counted language, since Latin
scripts cannot tell languages apart; probabilities are renormalised over these, for the sentence in
front gives nearly all of it to the word itself; both halves carry the sentence's own language
embedding where the model has such.

A sentence that does not fit twice is rejected (`too_long_for_model/1`, its tokens).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex
import torch

from bitextile.kernels.backtranslate import TOO_LONG_FOR_MODEL
from bitextile.kernels.rejects import Filtered, merge_by_row, split_rejects
from bitextile.kernels.sharding import split_by_language
from bitextile.kernels.text.segment import segment
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import ALIGNED, CANDIDATES, EXCHANGE, MONO, PAIRS
from bitextile.trainer.data.examples import Input, join
from bitextile.trainer.data.packed import flatten, language_ids, map_tensors, pack_inputs
from bitextile.trainer.data.streams import split_rows
from bitextile.trainer.data.tokens import Encoding, Tokenizer
from bitextile.trainer.data.words import one_piece_words
from bitextile.trainer.generate.checkpoint import (
    Checkpoint,
    known_languages,
    load_checkpoint,
    model_tokenizer,
)
from bitextile.trainer.generate.config import CandidatesConfig
from bitextile.trainer.generate.parallel import length_buckets, parallel_map
from bitextile.trainer.model.build import load_predictor

_COUNTED_ROWS = 20_000
"""Rows of a key whose words are counted: the first in file order, which is that of hashed ids."""
_WORD = regex.compile(r"(?=.*\p{L})[^\p{N}]+", regex.DOTALL)

Word = tuple[int, int, int]
"""Row of a batch, index of the word in it, place of its token."""


@dataclass(frozen=True, kw_only=True)
class CandidatesEngine:
    """A masked language model that predicts candidates, as workers get it.

    Attributes:
        folder: of the checkpoint.
        digest: of its files.
        vocabulary: of each wanted language the ids that are a word of it alone.
        config: which candidates are kept.
    """

    folder: str
    digest: str
    vocabulary: tuple[tuple[str, tuple[int, ...]], ...]
    config: CandidatesConfig

    def load(self) -> "CandidateFinder":
        """Returns the model, loaded."""
        return CandidateFinder(load_checkpoint(self.folder), self)


def candidates_engine(
    folder: str,
    *,
    digest: str,
    sources: Sequence[str],
    vocabulary_data: Sequence[str],
    config: CandidatesConfig,
) -> CandidatesEngine:
    """Checks what can be wrong before a worker starts, and counts whose word each token is.

    Args:
        folder: of a masked language model with its tokenizer.
        digest: of its files.
        sources: languages of the sentences.
        vocabulary_data: datasets with text of the wanted languages and, best, of the sources too.
        config: which candidates are kept.

    Raises:
        ConfigError: a model whose head is not trained, a tokenizer other than its own, a source
            language without an embedding in a model that has them, or a wanted language without any
            text.
    """
    load_predictor(folder)  # for its error
    known = known_languages(folder)
    if known and (missing := sorted(set(sources) - set(known))):
        raise ConfigError(
            f"{folder}: has no embedding for {', '.join(missing)}; it knows {', '.join(known)}"
        )
    counts = count_words(model_tokenizer(folder), vocabulary_data)
    if missing := sorted(set(config.languages) - set(counts)):
        raise ConfigError(
            f"no text of {', '.join(missing)} to find its words in; name mono or pairs datasets "
            "that have some (--vocabulary-data)"
        )
    vocabulary = words_of_languages(counts, min_count=config.min_count)
    wanted = tuple((tag, tuple(vocabulary[tag].tolist())) for tag in sorted(config.languages))
    return CandidatesEngine(folder=folder, digest=digest, vocabulary=wanted, config=config)


def count_words(tokenizer: Tokenizer, vocabulary_data: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns for each language [V] how often each token occurs as a whole word.

    Args:
        tokenizer: cuts the texts.
        vocabulary_data: folders of datasets of kind mono, pairs, aligned or exchange.
    """
    counts: dict[str, np.ndarray] = {}
    for path in vocabulary_data:
        dataset = open_dataset(path, (MONO, PAIRS, ALIGNED, EXCHANGE))
        for columns in dataset.kind.sides:
            for key in dataset.keys:
                rows = split_rows(dataset, key, columns, split=None, limit=_COUNTED_ROWS)
                for tag, texts in _by_language(rows):
                    here = np.bincount(
                        _whole_words(tokenizer, texts, tag), minlength=tokenizer.size
                    )
                    counts[tag] = counts.get(tag, 0) + here
    return counts


def _by_language(rows: pa.Table | None) -> Iterator[tuple[str, pa.StringArray]]:
    """Yields the texts of each language of rows (language, text)."""
    if rows is None:
        return
    for tag in rows.column(0).unique().to_pylist():
        texts = rows.filter(pc.equal(rows.column(0), tag)).column(1)
        yield tag, pa.array(texts.to_pylist(), pa.string())


def words_of_languages(
    counts: Mapping[str, np.ndarray], *, min_count: int
) -> dict[str, np.ndarray]:
    """Returns for each language the ids that occur relatively more often in it than in any other.

    Args:
        counts: as `count_words` gives them.
        min_count: of a token in the language, at least.
    """
    tags = sorted(counts)
    table = np.stack([counts[tag] for tag in tags])
    # Shares, not counts: a language with more text would own every word that two have.
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    best = shares.max(axis=0)
    alone = (shares == best).sum(axis=0) == 1  # a tie tells nothing about whose word it is
    return {
        tag: np.flatnonzero(alone & (shares[i] == best) & (table[i] >= min_count))
        for i, tag in enumerate(tags)
    }


def _whole_words(tokenizer: Tokenizer, texts: pa.StringArray, lang: str) -> np.ndarray:
    spans = segment(texts, lang).to_pylist()
    found = []
    for text, side, words in zip(texts.to_pylist(), tokenizer.encode(texts.to_pylist()), spans):
        at = single_tokens(tokenizer, side, text, [(w["start"], w["end"]) for w in words])
        found += [int(side.ids[place]) for place in at.values()]
    return np.asarray(found, np.int64)


def single_tokens(
    tokenizer: Tokenizer, side: Encoding, text: str, words: Sequence[tuple[int, int]]
) -> dict[int, int]:
    """Returns the words that are one ordinary token each, with a letter and without a digit.

    Args:
        tokenizer: the tokenizer.
        side: the subwords of the text.
        text: the sentence.
        words: spans of its words.

    Returns:
        Index of the word to index of its subword.
    """
    places = one_piece_words(tokenizer, side, text, words)
    return {w: place for w, place in places.items() if _WORD.fullmatch(text[slice(*words[w])])}


@dataclass(frozen=True)
class _Allowed:
    """Tokens a sentence may take, with language and spelling of each."""

    ids: torch.Tensor
    langs: list[str]
    texts: list[str]


class CandidateFinder:
    """A loaded model: rows of MONO in, rows of CANDIDATES out."""

    def __init__(self, checkpoint: Checkpoint, engine: CandidatesEngine) -> None:
        """Keeps model, vocabulary and limits."""
        self.checkpoint = checkpoint
        self.config = engine.config
        self._vocabulary = engine.vocabulary
        with torch.inference_mode():
            self._unit = torch.nn.functional.normalize(checkpoint.encoder.table.float(), dim=1)

    def __call__(self, batch: pa.RecordBatch) -> Filtered:
        """Returns the candidates of every sentence, none for words that are not eligible.

        Those of a word depend on its sentence alone, but for the last bits of the model's numbers.

        Args:
            batch: rows of MONO.
        """
        kept, rejects = [], []
        for lang, part in split_by_language(batch, MONO):
            rows = np.flatnonzero(pc.equal(batch.column("lang"), lang).to_numpy(False))
            sides = self.checkpoint.tokenizer.encode(part.column("text").to_pylist())
            # <s> sentence </s> sentence </s>
            lengths = np.asarray([2 * len(s.ids) + 3 for s in sides], np.int64)
            fits = lengths <= self.checkpoint.max_tokens
            found = split_rejects(part, fits, rule=TOO_LONG_FOR_MODEL, value=lengths.astype(float))
            fitting = [side for side, fit in zip(sides, fits) if fit]
            kept.append((rows[fits], self._candidates(found.kept, fitting, lang)))
            rejects.append((rows[~fits], found.rejects))
        return Filtered(merge_by_row(kept, CANDIDATES.schema), merge_by_row(rejects))

    def _candidates(
        self, batch: pa.RecordBatch, sides: list[Encoding], lang: str
    ) -> pa.RecordBatch:
        texts = batch.column("text")
        spans = segment(texts, lang)
        words = [[(s["start"], s["end"]) for s in row] for row in spans.to_pylist()]
        found: list[list[list[dict]]] = [[[] for _ in row] for row in words]
        tokenizer, allowed = self.checkpoint.tokenizer, self._allowed(lang)
        queries: list[Word] = [
            (row, word, place)
            for row, (side, text) in enumerate(zip(sides, texts.to_pylist()))
            for word, place in single_tokens(tokenizer, side, text, words[row]).items()
        ]
        if len(allowed.ids):
            inputs = [self._input(sides[row], place, lang) for row, _, place in queries]
            for (row, word, _), candidates in zip(queries, self._scored(inputs, allowed)):
                found[row][word] = candidates
        columns = [batch.column(name) for name in ("text_id", "lang", "text")]
        column = pa.array(found, CANDIDATES.schema.field("candidates").type)
        return pa.RecordBatch.from_arrays([*columns, spans, column], schema=CANDIDATES.schema)

    def _allowed(self, lang: str) -> _Allowed:
        pairs = [(tag, i) for tag, ids in self._vocabulary if tag != lang for i in ids]
        ids = [i for _, i in pairs]
        texts = self.checkpoint.tokenizer.spell(ids)
        on_device = torch.tensor(ids, dtype=torch.int64, device=self.checkpoint.device)
        return _Allowed(on_device, [tag for tag, _ in pairs], texts)

    def _input(self, side: Encoding, place: int, lang: str) -> Input:
        """Returns a sentence and its copy, in which the token at `place` may be masked alone."""
        pair = join(self.checkpoint.tokenizer, side, side, languages=(lang, lang))
        maskable = np.zeros(len(pair.tokens), bool)
        # [CLS] s ... [SEP] s ... [SEP]: the second copy begins behind len(s) + 2 tokens.
        maskable[len(side.ids) + 2 + place] = True
        return Input(pair.tokens, maskable, pair.sides, pair.languages)

    def _scored(self, inputs: list[Input], allowed: _Allowed) -> list[list[dict]]:
        """Returns the candidates of each input's masked word, in the order of the inputs."""
        device = self.checkpoint.device
        buckets = list(length_buckets([len(i.tokens) for i in inputs], device))
        parts = parallel_map(
            lambda rows: self._score([inputs[i] for i in rows], allowed), buckets, device
        )
        found: list[list[dict]] = [[]] * len(inputs)
        for rows, part in zip(buckets, parts):
            for i, candidates in zip(rows, part):
                found[i] = candidates
        return found

    def _score(self, inputs: list[Input], allowed: _Allowed) -> list[list[dict]]:
        """Returns what `_scored` does, of inputs that fit in one forward pass."""
        flat, device = flatten(inputs), self.checkpoint.device
        packed, places = pack_inputs(
            flat,
            np.where(flat.maskable, self.checkpoint.tokenizer.mask, flat.tokens).astype(np.int32),
            width=max(len(i.tokens) for i in inputs),
            pad=self.checkpoint.tokenizer.pad,
            languages=language_ids(inputs, flat, self.checkpoint.index),
        )
        masks = torch.from_numpy(places[flat.maskable]).to(device)
        words = torch.from_numpy(flat.tokens[flat.maskable].astype(np.int64)).to(device)
        vectors = self.checkpoint.encoder.vectors(map_tensors(packed, lambda t: t.to(device)))[
            masks
        ]
        scores = self.checkpoint.encoder.logits(vectors)[:, allowed.ids].float().softmax(dim=1)
        best, which = scores.topk(min(self.config.top_k, scores.shape[1]), dim=1)
        near = (self._unit[words][:, None] * self._unit[allowed.ids[which]]).sum(dim=2)
        keep = (best >= self.config.min_probability) & (near >= self.config.min_cosine)
        return [
            [
                {"text": allowed.texts[i], "lang": allowed.langs[i], "score": score}
                for i, score, kept in zip(*row)
                if kept
            ]
            for row in zip(which.tolist(), best.tolist(), keep.tolist())
        ]
