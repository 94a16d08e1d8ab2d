"""A SentencePiece unigram model with XLM-R's special tokens."""

import io
import re
import struct
from dataclasses import dataclass
from typing import Any

from bitextile.schema.errors import ConfigError, InputError

SPECIALS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
MASK = "<mask>"
SPECIAL_ROLES = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": MASK,
}
# Sums of the EM steps are added per thread, so another number gives other last digits.
_THREADS = 2


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How large the vocabulary is and what it is learned from."""

    vocab_size: int = 32_000
    """Ids at most, specials included; a small text gives fewer. XLM-R gives 250,002 to 100
    languages; 32,000 serve about ten."""
    alpha: float = 0.3
    """Temperature: a language with share q of the sentences gets q^alpha of the sample, scaled to
    1; 1 keeps the shares, 0 levels them. 0.3 as in XLM-R (Conneau et al. 2020, section 3.1)."""
    max_sentences: int = 1_000_000
    """Sentences of the sample at most. SentencePiece keeps them and a suffix array in memory,
    some 2 GB for a million; more has little effect on a unigram vocabulary (our estimate)."""
    character_coverage: float = 0.9995
    """Share of the characters that get a piece of their own, 0.98 to 1; the rest, in Chinese the
    rarest signs, is spelled in bytes. SentencePiece's advice for rich character sets."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        if self.vocab_size < 1 or self.max_sentences < 1:
            raise ConfigError(
                f"vocab_size is {self.vocab_size} and max_sentences {self.max_sentences}, "
                "expected 1 or more"
            )
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha is {self.alpha}, expected 0 (level) to 1 (as they are)")
        if not 0.98 <= self.character_coverage <= 1:
            raise ConfigError(
                f"character_coverage is {self.character_coverage}, expected 0.98 to 1"
            )


def train_unigram(texts: list[str], config: TokenizerConfig) -> bytes:
    """Returns a SentencePiece model, as the bytes of its file, with `<mask>` as its last piece.

    Args:
        texts: sentences, in the order they are to be learned from.
        config: of the vocabulary.

    Returns:
        The model; it has fewer ids than `vocab_size` where the text gives no more.

    Raises:
        ConfigError: `vocab_size` is below the number of characters; the message says what fits.
    """
    try:
        return _train(texts, config, config.vocab_size)
    except RuntimeError as error:
        most = _most_pieces(str(error))
        if most is None or most >= config.vocab_size:
            raise _vocab_error(str(error), config.vocab_size) from error
    # What a text gives is known only once SentencePiece has looked at it, and small texts give too
    # little for any default.
    try:
        return _train(texts, config, most)
    except RuntimeError as error:
        raise _vocab_error(str(error), most) from error


def _train(texts: list[str], config: TokenizerConfig, vocab_size: int) -> bytes:
    import sentencepiece

    writer = io.BytesIO()
    options: dict[str, Any] = {
        "model_type": "unigram",
        # One less than asked for: `<mask>` is appended below, last, as XLM-R has it.
        "vocab_size": vocab_size - 1,
        "character_coverage": config.character_coverage,
        "byte_fallback": True,
        # Ingest has normalised the text; the default, NFKC with more rules, would replace
        # full-width letters, ligatures and the like.
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "shuffle_input_sentence": False,
        # SentencePiece skips longer lines (4,192 bytes by default) and says so only in its log.
        "max_sentence_length": max(len(text.encode()) for text in texts),
        "num_threads": _THREADS,
        "minloglevel": 2,
    }
    for role in ("bos", "pad", "eos", "unk"):
        piece = SPECIAL_ROLES[f"{role}_token"]
        options |= {f"{role}_id": SPECIALS[piece], f"{role}_piece": piece}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=writer, **options
    )
    return writer.getvalue() + _control_piece(MASK)


def _most_pieces(message: str) -> int | None:
    """Returns how many ids a text gives, by SentencePiece's error; None of another error."""
    found = re.search(r"value <= (\d+)", message)
    # One more: `<mask>`, which SentencePiece does not know of.
    return int(found[1]) + 1 if found else None


def _vocab_error(message: str, vocab_size: int) -> Exception:
    """Returns SentencePiece's error about the vocabulary size, in terms of all ids."""
    if low := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return ConfigError(
            f"vocab_size is {vocab_size}, but the characters of this text alone need "
            f"{int(low[1]) + 1}; set it higher than that, or lower character_coverage"
        )
    return InputError(f"SentencePiece cannot train on this text: {message}")


def _control_piece(piece: str) -> bytes:
    """Returns one more control piece in the form to be appended to a model.

    A model is a protobuf message in which pieces are the repeated field 1, and a repeated field
    may go on anywhere in a message (protobuf encoding, "Last One Wins" and repeated elements):
    fields of a piece are 1 text, 2 score (float32), 3 type (3 = control).
    """
    # By hand: sentencepiece_model_pb2 refuses the protobuf runtime that Beam brings (sentencepiece
    # 0.2 is generated by 7.36, apache-beam 2.7x asks for 6).
    text = piece.encode()
    body = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", 0.0) + b"\x18\x03"
    return b"\x0a" + bytes([len(body)]) + body


def count_ids(model: bytes) -> int:
    """Returns how many ids a SentencePiece model has, specials included.

    Args:
        model: the bytes of its file.
    """
    import sentencepiece

    return int(sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size())
