"""Known translations of a language pair: where they are read from, and as an aligner takes them."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.bitext.dictionary.source import Dictionary, DictionarySource
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import language_key, language_tag


def parse_sources(entries: Iterable[str]) -> dict[str, DictionarySource]:
    """Returns the dictionary of each language pair.

    Args:
        entries: each SRC,TGT=PATH.

    Raises:
        ConfigError: an entry is not SRC,TGT=PATH, or a language pair has two.

    >>> parse_sources(["zh,en=zh-en.txt"])["en-zh"].path
    'zh-en.txt'
    """
    sources: dict[str, DictionarySource] = {}
    for entry in entries:
        tags, _, path = entry.partition("=")
        if tags.count(",") != 1 or not path:
            raise ConfigError(
                f"align: lexicon {entry!r}: expected SRC,TGT=PATH, as en,de=en-de.txt"
            )
        src, tgt = (language_tag(tag) for tag in tags.split(","))
        # en,de and de,en are one pair to the aligner: the entries are flipped where they must be,
        # not the sentences.
        key = language_key([src, tgt])
        if key in sources:
            raise ConfigError(f"align: two lexicons of {key}; join {entry!r} and the one before it")
        sources[key] = DictionarySource(path=path, src_lang=src, tgt_lang=tgt)
    return sources


def word_translations(dictionary: Dictionary) -> pa.Table:
    """Returns a dictionary as an aligner takes it: single words, sides in the order of sorted tags.

    Args:
        dictionary: of a language pair; translations of several words are of no use and left out.

    Returns:
        Columns src and tgt, strings.
    """
    words = dictionary.entries.select(["src", "tgt"])
    if dictionary.source.src_lang > dictionary.source.tgt_lang:
        words = words.select(["tgt", "src"]).rename_columns(["src", "tgt"])
    # A link joins two words, so a phrase would never be met in a sentence cut into words.
    several = pc.or_(*(pc.match_substring(words[side], " ") for side in ("src", "tgt")))
    return words.filter(pc.invert(several))
