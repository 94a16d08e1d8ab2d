"""Text in one form: NFC, no control characters, single spaces; and the ids taken over it."""

import unicodedata

import pyarrow as pa
import pyarrow.compute as pc
import regex

from bitextile.kernels.arrays import replace_columns
from bitextile.kernels.rows import takes_tables
from bitextile.schema.ids import pair_ids, text_ids

# White space by Unicode's White_Space property, which RE2's \s does not cover.
_SPACE = r"[\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]+"
# C0 and C1 controls that are not white space; soft hyphen, word joiner, byte order mark,
# directional marks and embeddings, interlinear anchors. ZWJ and ZWNJ stay: Persian, Indic scripts
# and emoji are spelled with them.
_CONTROL = (
    r"[\x{0}-\x{8}\x{E}-\x{1F}\x{7F}-\x{84}\x{86}-\x{9F}\x{AD}\x{61C}\x{200E}\x{200F}"
    r"\x{202A}-\x{202E}\x{2060}\x{2066}-\x{2069}\x{FEFF}\x{FFF9}-\x{FFFB}]+"
)

# The zero-width space marks words in scripts written without spaces, and says nothing elsewhere.
_ZERO_WIDTH_SPACE = "\u200b"
_MARKED = r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Javanese}\p{Balinese}\p{Tai_Tham}]"
_ZERO_WIDTH_SPACES = regex.compile(rf"(?<={_MARKED})(\u200b)\u200b*(?={_MARKED})|\u200b+")


def normalise_text(text: pa.StringArray) -> pa.StringArray:
    r"""Returns each text in NFC, without control characters, with single spaces and none outside.

    Args:
        text: [n] strings; nulls stay null.

    Source: Unicode Standard Annex #15 (NFC), #44 (White_Space).

    >>> text = pa.array(["Cafe\u0301\u00a0 noir ", "\ufeffمرحبا\u200f\tيا"])
    >>> normalise_text(text).to_pylist()
    ['Café noir', 'مرحبا يا']
    """
    # Controls first: a mark with a zero-width space between it and its letter composes only when
    # that is gone, and spaces beside a control become neighbours, which the last step joins.
    text = pc.replace_substring_regex(text, _CONTROL, "")
    text = _compose(_drop_zero_width_spaces(text))
    return pc.utf8_trim(pc.replace_substring_regex(text, _SPACE, " "), " ")


def _drop_zero_width_spaces(text: pa.StringArray) -> pa.StringArray:
    """Returns each text without zero-width spaces, but for one between two words that they mark."""
    if not pc.any(pc.match_substring(text, _ZERO_WIDTH_SPACE)).as_py():
        return text
    kept = [t and _ZERO_WIDTH_SPACES.sub(r"\1", t) for t in text.to_pylist()]
    return pa.array(kept, pa.string())


def _compose(text: pa.StringArray) -> pa.StringArray:
    """Returns each text in NFC."""
    # Not Arrow's utf8_normalize: it decomposes and stops there (pyarrow 23 to 25,
    # apache/arrow#51225). 1 M Czech sentences take 0.4 s this way, ASCII ones next to nothing.
    if not len(text) or pc.all(pc.equal(pc.utf8_length(text), pc.binary_length(text))).as_py():
        return text
    composed = [t and unicodedata.normalize("NFC", t) for t in text.to_pylist()]
    return pa.array(composed, pa.string())


@takes_tables
def normalise_pairs(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Returns a PAIRS batch with both sides normalised and `pair_id` taken over them.

    Args:
        batch: rows of one language pair, as a reader yields them.
    """
    if not batch.num_rows:
        return batch
    src_lang, tgt_lang = (batch.column(c)[0].as_py() for c in ("src_lang", "tgt_lang"))
    src, tgt = normalise_text(batch.column("src")), normalise_text(batch.column("tgt"))
    changed = {"pair_id": pair_ids(src_lang, src, tgt_lang, tgt), "src": src, "tgt": tgt}
    return replace_columns(batch, changed)


@takes_tables
def normalise_mono(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Returns a MONO batch with its text normalised and `text_id` taken over it.

    Args:
        batch: rows of one language, as a reader yields them.
    """
    if not batch.num_rows:
        return batch
    text = normalise_text(batch.column("text"))
    ids = text_ids(batch.column("lang")[0].as_py(), text)
    return replace_columns(batch, {"text_id": ids, "text": text})
