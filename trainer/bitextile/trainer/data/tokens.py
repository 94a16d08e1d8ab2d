"""The tokenizer as the trainer needs it: ids with offsets, special ids, cuts at words."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from bitextile.kernels.arrays import I32, Bool
from bitextile.schema.errors import ConfigError


@dataclass(frozen=True)
class Encoding:
    """One sentence as subwords, without special tokens.

    Attributes:
        ids: [n] int32.
        offsets: [n, 2] code-point offsets in the text, end exclusive.
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
        ordinary: [v] ids that are not special, ascending; what a random token is drawn from.
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
        """Rows an embedding table needs."""
        return len(self.pretrained)

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Id of each token."""
        return dict(self.pretrained.get_vocab())

    @cached_property
    def digest(self) -> str:
        """`sha256:...` over the tokenizer's whole definition; equal digests give equal ids."""
        # The definition as the library writes it, not the file: a folder that is saved again keeps
        # its digest.
        definition = self.pretrained.backend_tokenizer.to_str()
        return "sha256:" + hashlib.sha256(definition.encode()).hexdigest()

    def encode(self, texts: list[str]) -> list[Encoding]:
        """Returns each text as subwords."""
        # The Rust tokenizer itself: it gives offsets in code points, and no special tokens, which
        # objectives put where they want them.
        encodings = self.pretrained.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
        return [
            Encoding(
                np.asarray(e.ids, np.int32),
                np.asarray(e.offsets, np.int32).reshape(-1, 2),
            )
            for e in encodings
        ]


def load_tokenizer(path: str) -> Tokenizer:
    """Loads a tokenizer from a local folder; nothing is ever downloaded.

    Args:
        path: a folder as the tokenizer command or `save_pretrained` writes it.

    Raises:
        ConfigError: no such folder, no fast tokenizer in it, or a special token is missing.
    """
    if not Path(path).is_dir():
        raise ConfigError(f"{path}: no such tokenizer folder; `bitextile tokenizer` writes one")
    try:
        pretrained = AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"{path}: no tokenizer that transformers can load; expected the folder of a finished "
            f"model or of `bitextile tokenizer` ({reason})"
        ) from error
    if not getattr(pretrained, "is_fast", False):
        raise ConfigError(f"{path}: not a fast tokenizer, so without offsets; save tokenizer.json")
    # tokenizer.json may ask for both; inputs are cut at words and packed instead.
    pretrained.backend_tokenizer.no_truncation()
    pretrained.backend_tokenizer.no_padding()
    is_ordinary = np.ones(len(pretrained), bool)
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
    without spans) is cut between two subwords.

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
    keep = _cut_index(subwords.offsets[: max_tokens + 1, 0], text, spans)
    n_truncated = subwords.n_truncated + len(subwords.ids) - keep
    return Encoding(subwords.ids[:keep], subwords.offsets[:keep], n_truncated)


def split_subwords(subwords: Encoding, max_tokens: int, text: str, *, parts: int) -> list[Encoding]:
    """Returns subwords in pieces of at most `max_tokens`, cut as `truncate` does, nothing lost.

    Args:
        subwords: of `text`.
        max_tokens: most subwords of a piece.
        text: the sentence or document.
        parts: most pieces; what lies behind them is lost, `n_truncated` of the last counts it.
    """
    pieces: list[Encoding] = []
    while len(pieces) < parts - 1 and len(subwords.ids) > max_tokens:
        keep = _cut_index(subwords.offsets[: max_tokens + 1, 0], text, None)
        pieces.append(Encoding(subwords.ids[:keep], subwords.offsets[:keep]))
        # Offsets stay those of the whole text, so that `text` serves for every piece.
        subwords = Encoding(subwords.ids[keep:], subwords.offsets[keep:])
    return [*pieces, truncate(subwords, max_tokens, text)]


def _cut_index(starts: I32, text: str, spans: I32 | None) -> int:
    max_tokens = len(starts) - 1
    if spans is None:
        begins: Bool = np.asarray([_after_space(text, int(s)) for s in starts])
    else:
        inside = (spans[None, :, 0] < starts[:, None]) & (starts[:, None] < spans[None, :, 1])
        begins = np.logical_not(inside.any(axis=1))
    places = np.flatnonzero(begins)
    return int(places[-1]) if len(places) and places[-1] > max_tokens // 2 else max_tokens


def _after_space(text: str, start: int) -> bool:
    # The space may be in the token itself (SentencePiece) or in front of it.
    return start < len(text) and (text[start].isspace() or start == 0 or text[start - 1].isspace())


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
