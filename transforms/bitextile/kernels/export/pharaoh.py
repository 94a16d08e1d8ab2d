"""Pharaoh: `source words ||| target words` in one file, `i-j` links of each line in another."""

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.export.columns import WORD_BREAK, Columns, refuse_text, sides_of_key
from bitextile.kernels.export.lists import join_items


def pharaoh_lines(key: str, batch: pa.RecordBatch) -> Columns:
    """Returns the words of both sides and the links between them.

    Args:
        key: the language pair of every row.
        batch: rows of kind `aligned`.

    Raises:
        RowError: a word holds white space or is the separator.

    >>> span = lambda *ends: [{"start": s, "end": e} for s, e in ends]
    >>> batch = pa.RecordBatch.from_pylist([
    ...     {"pair_id": "0", "src_lang": "zh", "tgt_lang": "en",
    ...      "src": "猫睡了", "tgt": "cats slept",
    ...      "src_spans": span((0, 1), (1, 2), (2, 3)), "tgt_spans": span((0, 4), (5, 10)),
    ...      "links": [{"src": 0, "tgt": 0, "score": 1.0}, {"src": 1, "tgt": 1, "score": .5}]}])
    >>> {name: lines.to_pylist() for name, lines in pharaoh_lines("en-zh", batch).items()}
    {'en-zh.words': ['cats slept ||| 猫 睡 了'], 'en-zh.pharaoh': ['0-0 1-1']}
    """
    _, _, flipped = sides_of_key(key, batch)
    src, tgt = _words_with_spaces(batch, "src"), _words_with_spaces(batch, "tgt")
    words = pc.binary_join_element_wise(
        pc.if_else(flipped, tgt, src), pc.if_else(flipped, src, tgt), " ||| "
    )
    return {f"{key}.words": words, f"{key}.pharaoh": _link_lines(batch.column("links"), flipped)}


def _words_with_spaces(batch: pa.RecordBatch, side: str) -> pa.Array:
    """Returns each sentence of a side as its words with a space between."""
    texts, spans = batch.column(side).to_pylist(), batch.column(f"{side}_spans")
    counts = pc.list_value_length(spans).to_pylist()
    flat = spans.flatten()
    starts, ends = flat.field("start").to_pylist(), flat.field("end").to_pylist()
    # Cut in Python: Arrow has no kernel that cuts a string at several places.
    words, lines, at = [], [], 0
    for text, count in zip(texts, counts, strict=True):
        row = [text[s:e] for s, e in zip(starts[at : at + count], ends[at : at + count])]
        words.append(row)
        lines.append(" ".join(row))
        at += count
    flat_words = pa.array([word for row in words for word in row], pa.string())
    # All words in one call; which row a bad one is in is looked for only if there is one.
    if pc.any(pc.match_substring_regex(flat_words, WORD_BREAK)).as_py():
        bad = pa.array([_mark_bad_word(row) for row in words], pa.string())
        what = "white space or |||"
        refuse_text(batch, f"a word of {side}", bad, pattern="^!", what=what)
    return pa.array(lines, pa.string())


def _mark_bad_word(words: list[str]) -> str:
    found = pc.match_substring_regex(pa.array(words, pa.string()), WORD_BREAK)
    return "!" if pc.any(found).as_py() else ""


def _link_lines(links: pa.ListArray, flipped: pa.Array) -> pa.Array:
    """Returns the links of each row as `i-j i-j`, sorted, flipped where the row is."""
    parents, flat = pc.list_parent_indices(links), links.flatten()
    # Files have their sides in the order of the key, and so must the links.
    turn = pc.take(flipped, parents)
    src, tgt = flat.field("src"), flat.field("tgt")
    table = pa.table(
        {"row": parents, "i": pc.if_else(turn, tgt, src), "j": pc.if_else(turn, src, tgt)}
    )
    # By row first, so the items still fall into the lists of `links`, whose lengths did not change.
    table = table.sort_by([(name, "ascending") for name in table.column_names]).combine_chunks()
    i, j = (pc.cast(table.column(c).combine_chunks(), pa.string()) for c in ("i", "j"))
    return join_items(links, pc.binary_join_element_wise(i, j, "-"))
