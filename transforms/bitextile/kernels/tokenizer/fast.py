"""The same model for the `tokenizers` library, which transformers loads."""

from typing import Any

from bitextile.kernels.tokenizer.unigram import MASK, SPECIALS


def fast_tokenizer(vocab: list[list[Any]]) -> dict[str, Any]:
    """Returns what the `tokenizers` library reads: the same model, the same steps.

    SentencePiece puts a mark before the text and in place of each space, then finds the best path
    over the whole text; no piece has a mark but at its start, so cutting at marks changes no path.
    Where the mark before the text is a token of its own, its offsets are those of the first
    character, as in XLM-R. Text that spells a byte piece, "<0x41>", or a special one is read as
    that piece here; SentencePiece spells it out, and so does `text_encoder`.

    Args:
        vocab: pieces and their log probabilities, by id.
    """
    ids = {piece: i for i, (piece, _) in enumerate(vocab)}
    specials = [
        {
            "id": ids[piece],
            "content": piece,
            "single_word": False,
            "lstrip": piece == MASK,  # as in XLM-R: the mask stands for a word with its space
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for piece in (*SPECIALS, MASK)
    ]
    mark, space = {"String": "▁"}, {"String": " "}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": specials,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": space, "content": "▁"},
            ],
        },
        "pre_tokenizer": {
            "type": "Split",
            "pattern": mark,
            "behavior": "MergedWithNext",
            "invert": False,
        },
        "post_processor": _template(),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": mark, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": True},
    }


def _template() -> dict[str, Any]:
    """Returns XLM-R's frame of sentence and pair: <s> A </s>, <s> A </s> </s> B </s>."""
    first, last = ({"SpecialToken": {"id": t, "type_id": 0}} for t in ("<s>", "</s>"))
    a, b = ({"Sequence": {"id": name, "type_id": 0}} for name in ("A", "B"))
    return {
        "type": "TemplateProcessing",
        "single": [first, a, last],
        "pair": [first, a, last, last, b, last],
        "special_tokens": {
            token: {"id": token, "ids": [SPECIALS[token]], "tokens": [token]}
            for token in ("<s>", "</s>")
        },
    }
