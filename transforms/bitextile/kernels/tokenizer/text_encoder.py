"""Text as a fast tokenizer cuts it, whatever is written in it: `</s>` is five characters there.

A tokenizer takes its special tokens, language codes among them, for themselves wherever they stand
in a text, and so does its model where they are in its vocabulary (Unigram, words); a page about
tokenizers would end in the middle. SentencePiece itself spells them out, as it does a byte piece:

    a </s> <0x41>      ▁a ▁ < / s > ▁ < 0 x 4 1 >

The few texts in which a special token came out are cut again by a copy of the tokenizer that has
no name for it.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from bitextile.kernels.arrays import I32, Bool
from bitextile.kernels.model_folder import first_line, is_panic
from bitextile.schema.errors import InputError

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
# Noncharacters, which text is never to have (Unicode 16, section 23.7): no text spells such a name.
_NAMELESS = "\ufdd0{}\ufdd1"


Text = str | list[str]
"""A sentence, whole or as words."""


class Pieces(NamedTuple):
    """A text as subwords, without special tokens.

    Attributes:
        ids: of the subwords.
        offsets: (start, end) of each in the text, code points.
        words: of each, the index of the word it is in; [] where the text is one string.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    words: list[int]


class TextEncoder:
    """Cuts text by a fast tokenizer, with nothing in it being special."""

    def __init__(
        self, backend: Any, *, special_ids: Collection[int], unknown_id: int | None
    ) -> None:
        """Keeps the tokenizer.

        Args:
            backend: a `tokenizers.Tokenizer`.
            special_ids: of its special tokens.
            unknown_id: of the one among them that stands for what the model does not know.
        """
        self.backend = backend
        self.special_ids = frozenset(special_ids)
        self.unknown_id = unknown_id

    def encode_batch(self, texts: Sequence[Text], *, is_pretokenized: bool = False) -> list[Pieces]:
        """Returns the subwords of each text.

        Args:
            texts: strings, or lists of words.
            is_pretokenized: they are lists of words.

        Raises:
            InputError: the tokenizer cannot cut a text; the library may even panic.
        """
        try:
            found = self.backend.encode_batch(
                texts, is_pretokenized=is_pretokenized, add_special_tokens=False
            )
            # Each of these attributes makes a list; words are not asked for in vain.
            pieces = [
                Pieces(e.ids, e.offsets, e.word_ids if is_pretokenized else []) for e in found
            ]
            for i, (text, side) in enumerate(zip(texts, pieces)):
                if not self._is_text(text, side):
                    pieces[i] = self._spelled(text, is_pretokenized=is_pretokenized)
        except BaseException as error:
            # The library has no class of its own for what is wrong with a tokenizer.
            if type(error) is not Exception and not is_panic(error):
                raise
            raise InputError(
                f"the tokenizer cannot cut a text ({first_line(error)}); is its tokenizer.json "
                "whole?"
            ) from error
        return pieces

    @cached_property
    def byte_ids(self) -> dict[int, int]:
        """Byte of each piece that stands for one; none where there are no such pieces.

        >>> from tokenizers import Tokenizer, models
        >>> vocab = [("<unk>", 0.0), ("<0x41>", -1.0)]
        >>> backend = Tokenizer(models.Unigram(vocab, unk_id=0, byte_fallback=True))
        >>> TextEncoder(backend, special_ids=[0], unknown_id=0).byte_ids
        {1: 65}
        """
        ids = {self.backend.token_to_id(f"<0x{byte:02X}>"): byte for byte in range(256)}
        return {i: byte for i, byte in ids.items() if i is not None}

    def _is_text(self, text: Text, side: Pieces) -> bool:
        """Says whether nothing in a text was taken for a special token or for a byte piece."""
        special = self.special_ids.intersection(side.ids)
        whole = text if isinstance(text, str) else " ".join(text)
        # Byte pieces that stand for bytes cannot be told from one that was written, but hardly any
        # text has such a name in it.
        return all(self._is_unknown(i, whole) for i in special) and not (
            _BYTE.search(whole) and self.byte_ids
        )

    def _is_unknown(self, token_id: int, text: str) -> bool:
        """Says whether a token is the unknown one, and not because its name is written."""
        name = self.backend.id_to_token(token_id)
        written = name in text or name in unicodedata.normalize("NFKC", text)
        return token_id == self.unknown_id and not written

    def _spelled(self, text: Text, *, is_pretokenized: bool) -> Pieces:
        backend, id_of_byte = self._nameless
        found = backend.encode(text, is_pretokenized=is_pretokenized, add_special_tokens=False)
        pieces = Pieces([], [], [])
        for token, token_id, offsets, word in zip(
            found.tokens, found.ids, found.offsets, found.word_ids
        ):
            ids = [token_id]
            if token_id == self.unknown_id and id_of_byte:
                ids = [id_of_byte[byte] for byte in token.encode()]
            pieces.ids.extend(ids)
            pieces.offsets.extend([offsets] * len(ids))
            if is_pretokenized:
                pieces.words.extend([word] * len(ids))
        return pieces

    @cached_property
    def _nameless(self) -> tuple[Any, dict[int, int]]:
        """The tokenizer without a name for special tokens and, where it can do without, for bytes.

        The second is the piece of each byte, for unknown tokens to be spelled in.
        """
        from tokenizers import Tokenizer

        definition = json.loads(self.backend.to_str())
        model, added = definition["model"], definition["added_tokens"]
        names = {self.backend.id_to_token(i) for i in self.special_ids}
        names |= {token["content"] for token in added if token["special"]}
        id_of_byte: dict[int, int] = {}
        if isinstance(model["vocab"], list):
            # Unigram takes any piece that is spelled. Scores stay as they are: what an unknown
            # character costs follows from the lowest.
            if len(self.byte_ids) == 256 and model.get("byte_fallback"):
                id_of_byte = {byte: i for i, byte in self.byte_ids.items()}
                names |= {self.backend.id_to_token(i) for i in self.byte_ids}
                model["byte_fallback"] = False
            model["vocab"] = [[_renamed(p, names), score] for p, score in model["vocab"]]
        else:
            model["vocab"] = {_renamed(p, names): i for p, i in model["vocab"].items()}
        if model.get("unk_token"):
            model["unk_token"] = _renamed(model["unk_token"], names)
        # Renamed, not left out: tokens behind them would get other ids.
        for token in added:
            token["content"] = _renamed(token["content"], names)
        return Tokenizer.from_str(json.dumps(definition)), id_of_byte


def _renamed(piece: str, names: Collection[str]) -> str:
    return _NAMELESS.format(piece) if piece in names else piece


def own_characters(offsets: I32, byte_of: I32, begins: Bool | None = None) -> I32:
    """Returns offsets in which a byte piece has the character it is part of, not a run of them.

    Tokenizers give each byte of several unknown characters the offsets of all of these together.

    Args:
        offsets: [n, 2] code points, of one text or of several, one behind the other.
        byte_of: [n] the byte that a piece stands for, -1 for other pieces.
        begins: [n] True at the first piece of each text; None for one text.

    >>> byte_of = np.frombuffer("☃é".encode(), np.uint8).astype(np.int32)
    >>> own_characters(np.full((5, 2), (4, 6), np.int32), byte_of).tolist()
    [[4, 5], [4, 5], [4, 5], [5, 6], [5, 6]]
    """
    width = offsets[:, 1] - offsets[:, 0]
    at = np.flatnonzero((byte_of >= 0) & (width > 1))
    if not len(at):
        return offsets
    # at        3 4 5 6 7 | 9 10       a run has the same offsets
    # run       0 0 0 0 0 | 1  1
    # lead      1 0 0 1 0 | 1  0       10xxxxxx goes on with a character (UTF-8, RFC 3629)
    # character 0 0 0 1 1 | 0  0
    first = np.ones(len(at), bool)
    first[1:] = (np.diff(at) != 1) | (offsets[at[1:]] != offsets[at[:-1]]).any(axis=1)
    if begins is not None:
        first[1:] |= begins[at[1:]]
    run, lead = np.cumsum(first) - 1, (byte_of[at] & 0xC0) != 0x80
    leads = np.cumsum(lead)
    character = leads - leads[first][run]
    # Otherwise a normaliser made more or fewer characters of these: theirs are not known.
    known = (np.bincount(run, lead) == width[at][first])[run] & lead[first][run]
    own = offsets.copy()
    own[at[known], 0] = offsets[at[known], 0] + character[known]
    own[at[known], 1] = own[at[known], 0] + 1
    return own
