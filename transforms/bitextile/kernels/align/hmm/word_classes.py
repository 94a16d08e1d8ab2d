"""Classes of words that begin with the same characters, to which rare words are backed off.

That cutting words to their first characters helps alignment of little data is known since Fraser
and Marcu (2005).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.arrays import I32, I64, offsets_of

IDEOGRAPHIC = r"^[\p{Han}\p{Hiragana}\p{Katakana}]"
"""Scripts in which one character carries about what four letters do."""
SYLLABIC = r"^[\p{Hangul}\p{Ethiopic}\p{Cherokee}\p{Canadian_Aboriginal}\p{Yi}\p{Vai}]"
"""Scripts in which one character is a syllable."""
ISOLATING = r"^[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
"""Scripts of languages without endings."""


@dataclass(frozen=True)
class WordClasses:
    """The words that begin alike, of both vocabularies.

    Attributes:
        src_start: int64 [source classes + 1]; class E is src_word[src_start[E]:src_start[E + 1]].
        src_word: int32 [source words], grouped by class.
        of_src: int32 [source words], each word's class.
        of_tgt: int32 [target words], each word's class.
        same_word: int32 [source words], the target word spelt the same, -1 if there is none.
        same_class: int32 [source words], the target class with the same prefix, -1 if there is
            none.
    """

    src_start: I64
    src_word: I32
    of_src: I32
    of_tgt: I32
    same_word: I32
    same_class: I32


def prefixes(words: pa.StringArray, config: HmmModelConfig) -> pa.StringArray:
    """Returns the first characters of each word, by which it is classed; how many, by its script.

    >>> words = pa.array(["voters", "vote", "選挙", "選ぶ", "학교에서", "학교"])
    >>> prefixes(words, HmmModelConfig()).to_pylist()
    ['vote', 'vote', '選', '選', '학교', '학교']
    """
    # Code points, in spite of the function's name.
    prefix = pc.utf8_slice_codeunits(words, 0, config.class_letters)
    for script, n in (
        (IDEOGRAPHIC, config.class_ideographs),
        (SYLLABIC, config.class_syllables),
        (ISOLATING, config.class_isolating),
    ):
        # By the first character alone: 選ぶ and 選挙 share a class, whatever script goes on.
        in_script = pc.match_substring_regex(words, script)
        prefix = pc.if_else(in_script, pc.utf8_slice_codeunits(words, 0, n), prefix)
    return prefix


def group_by_prefix(
    src: pa.StringArray, tgt: pa.StringArray, config: HmmModelConfig
) -> WordClasses:
    """Returns the classes of two vocabularies."""
    src_prefix, tgt_prefix = (prefixes(words, config).dictionary_encode() for words in (src, tgt))
    of_src, of_tgt = (np.array(p.indices, np.int32) for p in (src_prefix, tgt_prefix))
    # Each side numbers its classes itself; this maps the numbers of one to those of the other.
    same_class = index_in(src_prefix.dictionary, tgt_prefix.dictionary)
    sizes = np.bincount(of_src) if len(of_src) else np.zeros(0, np.int64)
    return WordClasses(
        src_start=offsets_of(sizes),
        src_word=np.argsort(of_src, kind="stable").astype(np.int32),
        of_src=of_src,
        of_tgt=of_tgt,
        same_word=index_in(src, tgt),
        same_class=same_class[of_src] if len(of_src) else np.zeros(0, np.int32),
    )


def index_in(words: pa.StringArray, vocabulary: pa.StringArray) -> I32:
    """Returns the first index of each word in `vocabulary`, -1 where it is not in there.

    >>> index_in(pa.array(["水", "b"]), pa.array(["a", "b", "b"])).tolist()
    [-1, 1]
    """
    found = pc.fill_null(pc.index_in(words, value_set=vocabulary), -1)
    return np.array(found, np.int32)
