"""The tokenizer as the trainer needs it: ids with offsets, special ids, cuts at words."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from bitextile.kernels.arrays import I32, I64, Bool
from bitextile.kernels.model_folder import load_pretrained
from bitextile.kernels.text.graphemes import inside_clusters
from bitextile.kernels.tokenizer.text_encoder import TextEncoder, own_characters
from bitextile.schema.errors import ConfigError


@dataclass(frozen=True)
class Encoding:
    """One sentence as subwords, without special tokens.

    Attributes:
        ids: [n] int32.
        offsets: [n, 2] code-point offsets in the text, end exclusive. Pieces of one character all
            have that character's; the bare mark of a word's beginning, if nothing stands for it in
            the text, has no character.
        n_truncated: subwords that were cut off the end.
    """

    ids: I32
    offsets: I32
    n_truncated: int = 0


@dataclass(frozen=True)
class Tokenizer:
    """A fast tokenizer and the ids that the objectives speak of.

    Attributes:
        pretrained: the transformers tokenizer, for `save_pretrained`.
        path: the folder it came from.
        cls: id that begins an input.
        sep: id that ends each sentence.
        pad: id behind the last one.
        mask: id of a hidden position.
        ordinary: [v] ids of tokens that are not special, ascending; what a random token is drawn
            from.
        is_ordinary: [size] True at those ids.
    """

    pretrained: Any
    path: str
    cls: int
    sep: int
    pad: int
    mask: int
    ordinary: I32 = field(repr=False)
    is_ordinary: Bool = field(repr=False)

    @property
    def size(self) -> int:
        """Rows an embedding table needs: the largest id + 1, whatever ids are left out below it."""
        return len(self.is_ordinary)

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Id of each token."""
        return dict(self.pretrained.get_vocab())

    @cached_property
    def is_piece(self) -> Bool:
        """[size] False at ids that no token has."""
        is_piece = np.zeros(self.size, bool)
        is_piece[list(self.vocabulary.values())] = True
        return is_piece

    @cached_property
    def digest(self) -> str:
        """`sha256:...` over the tokenizer's whole definition; equal digests give equal ids."""
        # The definition as the library writes it, not the file: a folder that is saved again keeps
        # its digest.
        definition = self.pretrained.backend_tokenizer.to_str()
        return "sha256:" + hashlib.sha256(definition.encode()).hexdigest()

    def encode(self, texts: list[str]) -> list[Encoding]:
        """Returns each text as subwords; special tokens that are written in it are text."""
        # The Rust tokenizer itself: it gives offsets in code points, and no special tokens, which
        # objectives put where they want them.
        found = self._text_encoder.encode_batch(texts)
        if not found:
            return []
        # All texts in one array: numpy calls for each would take longer than the tokenizer.
        ends = np.cumsum([len(pieces.ids) for pieces in found])
        flat = chain.from_iterable(pieces.ids for pieces in found)
        ids = np.fromiter(flat, np.int32, int(ends[-1]))
        pairs = chain.from_iterable(chain.from_iterable(pieces.offsets) for pieces in found)
        offsets = np.fromiter(pairs, np.int32, 2 * len(ids)).reshape(-1, 2)
        begins = np.zeros(len(ids) + 1, bool)
        begins[ends] = True
        begins[0] = True
        offsets = self._located(ids, offsets, begins[:-1])
        return [
            Encoding(*parts)
            for parts in zip(np.split(ids, ends[:-1]), np.split(offsets, ends[:-1]))
        ]

    def locate(self, ids: I32) -> tuple[Encoding, str]:
        """Returns subwords that a model generated with their offsets in the text they spell.

        Args:
            ids: [n] of subwords.
        """
        decode = self.pretrained.backend_tokenizer.decode
        offsets, start, pending, text = np.zeros((len(ids), 2), np.int32), 0, 0, ""
        for k in range(len(ids)):
            text = decode(ids[: k + 1].tolist())
            # Bytes spell nothing before the last of their character.
            if k + 1 == len(ids) or not text.endswith("\ufffd"):
                offsets[pending : k + 1] = min(start, len(text)), len(text)
                start, pending = len(text), k + 1
        return Encoding(ids, offsets), text

    @cached_property
    def _text_encoder(self) -> TextEncoder:
        return TextEncoder(
            self.pretrained.backend_tokenizer,
            special_ids=self.pretrained.all_special_ids,
            unknown_id=self.pretrained.unk_token_id,
        )

    @cached_property
    def byte_of(self) -> I32:
        """[size] the byte that a piece stands for where a character has none; -1 for others."""
        byte_of = np.full(self.size, -1, np.int32)
        for token_id, byte in self._text_encoder.byte_ids.items():
            byte_of[token_id] = byte
        return byte_of

    @cached_property
    def is_spelled(self) -> Bool:
        """[size] True at ordinary pieces that have a character of their own.

        Not at bytes, nor at the bare mark of a word's beginning.
        """
        texts = self.spell(np.arange(self.size))
        spelled = np.asarray([bool(text) and "\ufffd" not in text for text in texts])
        return spelled & self.is_ordinary & (self.byte_of < 0)

    def spell(self, ids: Sequence[int] | I32 | I64) -> list[str]:
        """Returns each piece as text, by itself, without space and without marks of its place."""
        backend = self.pretrained.backend_tokenizer
        texts = backend.decode_batch([[int(i)] for i in ids], skip_special_tokens=False)
        # WordPiece: "##ing" goes on with a word.
        prefix = getattr(backend.model, "continuing_subword_prefix", None) or ""
        return [text.strip().removeprefix(prefix) for text in texts]

    def _located(self, ids: I32, offsets: I32, begins: Bool) -> I32:
        """Returns the offsets of texts, one behind the other, as `Encoding` has them."""
        byte_of = self.byte_of[ids]
        offsets = own_characters(offsets, byte_of, begins)
        # A mark that was put before the text has the offsets of the character behind it, as if it
        # stood for that.
        overlap = (offsets[1:, 0] < offsets[:-1, 1]) & (byte_of[:-1] < 0) & ~begins[1:]
        marks = [k for k in np.flatnonzero(overlap) if self._is_mark(int(ids[k]))]
        offsets[marks, 1] = offsets[marks, 0]
        return offsets

    def _is_mark(self, token_id: int) -> bool:
        if token_id not in self._marks:
            decoded = self.pretrained.backend_tokenizer.decode([token_id])
            self._marks[token_id] = bool(self.is_ordinary[token_id]) and not decoded.strip()
        return self._marks[token_id]

    @cached_property
    def _marks(self) -> dict[int, bool]:
        """Tokens that were looked at, and whether they spell nothing."""
        return {}


def load_tokenizer(path: str) -> Tokenizer:
    """Loads a tokenizer from a local folder; nothing is ever downloaded.

    Args:
        path: a folder as the tokenizer command or `save_pretrained` writes it.

    Raises:
        ConfigError: no such folder, no fast tokenizer in it, or a special token is missing.
    """
    if not Path(path).is_dir():
        raise ConfigError(f"{path}: no such tokenizer folder; `bitextile tokenizer` writes one")
    pretrained = load_pretrained(AutoTokenizer, path, expected="tokenizer")
    if not getattr(pretrained, "is_fast", False):
        raise ConfigError(f"{path}: not a fast tokenizer, so without offsets; save tokenizer.json")
    # tokenizer.json may ask for both; inputs are cut at words and packed instead.
    pretrained.backend_tokenizer.no_truncation()
    pretrained.backend_tokenizer.no_padding()
    ids = list(pretrained.get_vocab().values())
    # Not the number of tokens: ids may have holes, as where tokens were removed or added far behind
    # the others. A hole is no token to predict or to draw.
    if max(ids, default=-1) >= _MAX_IDS:
        raise ConfigError(f"{path}: has the id {max(ids):,}, expected ids below {_MAX_IDS:,}")
    is_ordinary = np.zeros(max(ids, default=-1) + 1, bool)
    is_ordinary[ids] = True
    is_ordinary[list(pretrained.all_special_ids)] = False
    return Tokenizer(
        pretrained,
        path,
        cls=_special(pretrained, path, "cls", "bos"),
        sep=_special(pretrained, path, "sep", "eos"),
        pad=_special(pretrained, path, "pad"),
        mask=_special(pretrained, path, "mask"),
        ordinary=np.flatnonzero(is_ordinary).astype(np.int32),
        is_ordinary=is_ordinary,
    )


_MAX_IDS = 1 << 24
"""Sixteen million: the largest published vocabularies have a quarter of a million pieces."""


def _special(pretrained: Any, path: str, *names: str) -> int:
    for name in names:
        token_id = getattr(pretrained, f"{name}_token_id", None)
        if token_id is not None:
            return int(token_id)
    raise ConfigError(
        f"{path}: the tokenizer has no {' or '.join(names)} token; "
        "add it to its special tokens and save it again"
    )


def truncate(subwords: Encoding, max_tokens: int, text: str, spans: I32 | None = None) -> Encoding:
    """Returns the first subwords of a sentence, at most `max_tokens`, no word cut in two.

    A subword begins a word if no span reaches over its start; without spans, if white space
    stands before it. Text without any such place in the second half of them (an unspaced script
    without spans) is cut between two grapheme clusters.

    Args:
        subwords: of `text`.
        max_tokens: most subwords to keep.
        text: the sentence.
        spans: [w, 2] its words, if known; code points.

    Returns:
        `subwords` itself if it fits; else a shorter one, `n_truncated` counting what is gone.
    """
    if len(subwords.ids) <= max_tokens:
        return subwords
    # One start more than fits: if that one begins a word, all `max_tokens` before it stay.
    places = _places(subwords.offsets[: max(max_tokens, 0) + 1], text, spans)
    keep = places.cut(0, max_tokens)
    n_truncated = subwords.n_truncated + len(subwords.ids) - keep
    return Encoding(subwords.ids[:keep], subwords.offsets[:keep], n_truncated)


def split_subwords(subwords: Encoding, max_tokens: int, text: str, *, parts: int) -> list[Encoding]:
    """Returns subwords in pieces of at most `max_tokens`, cut as `truncate` does, nothing lost.

    But for a grapheme cluster of more than `max_tokens`, which is left out and counted.

    Args:
        subwords: of `text`.
        max_tokens: most subwords of a piece.
        text: the sentence or document.
        parts: most pieces; what lies behind them is lost, `n_truncated` of the last counts it.
    """
    n = len(subwords.ids)
    if n <= max_tokens:
        return [subwords]
    places = _places(subwords.offsets, text, None)
    ranges: list[tuple[int, int]] = []
    start = 0
    while start < n and len(ranges) < parts:
        keep = n - start if n - start <= max_tokens else places.cut(start, max_tokens)
        if keep:
            ranges.append((start, start + keep))
        start += keep or places.next_after(start)
    ranges = ranges or [(0, 0)]
    kept = sum(end - begin for begin, end in ranges)
    # Offsets stay those of the whole text, so that `text` serves for every piece.
    pieces = [Encoding(subwords.ids[a:b], subwords.offsets[a:b]) for a, b in ranges]
    return [*pieces[:-1], replace(pieces[-1], n_truncated=subwords.n_truncated + n - kept)]


@dataclass(frozen=True)
class _Places:
    """Where subwords may be parted.

    Attributes:
        clusters: [n] True at a subword that begins a grapheme cluster.
        words: [n] True where it begins a word too.
    """

    clusters: Bool
    words: Bool

    def cut(self, start: int, max_tokens: int) -> int:
        """Returns how many of the subwords from `start` on to keep, at most `max_tokens`."""
        here = slice(start + 1, start + max_tokens + 1)
        words, clusters = (np.flatnonzero(at[here]) + 1 for at in (self.words, self.clusters))
        if len(words) and words[-1] > max_tokens // 2:
            return int(words[-1])
        return int(clusters[-1]) if len(clusters) else 0

    def next_after(self, start: int) -> int:
        """Returns how many subwords a cluster has that begins at `start`."""
        behind = np.flatnonzero(self.clusters[start + 1 :])
        return int(behind[0]) + 1 if len(behind) else len(self.clusters) - start


def _places(offsets: I32, text: str, spans: I32 | None) -> _Places:
    starts, ends = offsets.T
    clusters = ~np.isin(starts, list(inside_clusters(text)))
    # A piece that goes on with the character before has no end before its start; and a mark that
    # a word begins stays with the word.
    blank = [not text[start:end].strip() for start, end in offsets[:-1].tolist()]
    clusters[1:] &= (ends[:-1] <= starts[1:]) & ~np.asarray(blank, bool)
    if spans is None:
        words: Bool = np.asarray([_after_space(text, int(s)) for s in starts], bool)
    else:
        inside = (spans[None, :, 0] < starts[:, None]) & (starts[:, None] < spans[None, :, 1])
        words = np.logical_not(inside.any(axis=1))
    return _Places(clusters, words & clusters)


def _after_space(text: str, start: int) -> bool:
    # The space may be in the token itself (SentencePiece) or in front of it. U+200B parts the words
    # of scripts without spaces.
    return start < len(text) and (
        text[start].isspace()
        or start == 0
        or text[start - 1].isspace()
        or text[start - 1] == "\u200b"
    )


def limits(n_src: int, n_tgt: int, max_tokens: int) -> tuple[int, int]:
    """Returns how many subwords each side may keep when both share `max_tokens`.

    A side shorter than half leaves the rest to the other.

    >>> limits(10, 90, 60), limits(50, 50, 60), limits(5, 5, 60)
    ((10, 50), (30, 30), (5, 5))
    """
    half = max_tokens // 2
    if n_src + n_tgt <= max_tokens:
        return n_src, n_tgt
    if n_src <= half:
        return n_src, max_tokens - n_src
    if n_tgt <= max_tokens - half:
        return max_tokens - n_tgt, n_tgt
    return half, max_tokens - half
