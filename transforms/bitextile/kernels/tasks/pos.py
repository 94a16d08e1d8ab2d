"""Part-of-speech tagging in CoNLL-U: tags and features move with their words, heads are renumbered.

A parse also gives `syntax`: a dependent before its head goes behind it, and the other way round;
dependents of one side keep their order, and the final . ! ? stays last. Word ranges, empty nodes
and enhanced dependencies, which no other order can hold, are left out.
"""

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import I64
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.order import head_swap, reorder, word_order
from bitextile.kernels.derive.rows import aligned_rows
from bitextile.kernels.derive.texts import derive_in_order
from bitextile.kernels.tasks.records import (
    DerivedTexts,
    OriginalText,
    Records,
    in_first_script,
    original_text,
    task_texts,
    to_records,
)
from bitextile.kernels.tasks.tagged import (
    TaggedSentence,
    read_tagged,
    spaced_texts,
    tagged_lines,
    transliterate_cell,
)
from bitextile.kernels.tasks.task import DerivedTask, TaskFormat
from bitextile.kernels.text.sentences import sentence_ends
from bitextile.kernels.text.words import SegmentedTexts
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO

_N_CELLS = 10
_ID, _FORM, _LEMMA, _HEAD, _DEPS, _MISC = 0, 1, 2, 6, 8, 9
_TEXT = "# text = "


def derive_parsed(path: str, *, lang: str, config: DeriveConfig) -> pa.RecordBatch:
    """Derives the sentences of a CoNLL-U file and aligns each with its derived form.

    Args:
        path: the file; its syntactic words are the words.
        lang: BCP-47 tag of its text.
        config: the transforms, `syntax` among them if wanted.

    Returns:
        Rows of kind aligned, the first of equal sentences.

    Raises:
        InputError: the file is not CoNLL-U, a head is wrong, or it uses the private script.
    """
    sentences = [_words_only(s) for s in read_tagged(path, n_cells=_N_CELLS)]
    texts, spans = _texts(sentences)
    ids = text_ids(lang, texts)
    # np.unique sorts by id; sorted again by number, the sentences keep the order of the file.
    first = np.sort(np.unique(np.array(ids.to_pylist(), dtype="U32"), return_index=True)[1])
    sentences = [sentences[k] for k in first.tolist()]
    texts, spans, ids = (column.take(pa.array(first)) for column in (texts, spans, ids))
    n = len(sentences)
    columns = [ids, pa.repeat(lang, n), texts, pa.repeat("parsed", n), pa.repeat(path, n)]
    columns += [pa.array(first + 1, pa.int64()), pa.repeat("train", n)]
    batch = pa.RecordBatch.from_arrays(columns, schema=MONO.schema)
    derived = _derive_sentences(sentences, texts, spans, path, config)
    return aligned_rows(batch, *derived, transforms=config.transforms)


def _derive(path: str, lang: str, config: DeriveConfig) -> DerivedTask:
    read = read_tagged(path, n_cells=_N_CELLS)
    sentences = [_words_only(sentence) for sentence in read]
    texts = _derive_sentences(sentences, *_texts(sentences), path, config)
    new = [
        _derived_sentence(sentence, texts, row, order, config)
        for row, (sentence, order) in enumerate(zip(sentences, texts.source_indices(), strict=True))
    ]
    records = to_records(texts, map(str, range(len(read))))
    return DerivedTask(tagged_lines(new), {"read": len(read), "kept": len(new)}, records)


def _derived_sentence(
    sentence: TaggedSentence, texts: DerivedTexts, row: int, order: list[int], config: DeriveConfig
) -> TaggedSentence:
    places = texts.derived.spans[row].as_py()
    # Heads count from 1, and 0 is the root, which stays 0.
    number = {old + 1: at + 1 for at, old in enumerate(order)} | {0: 0}
    rows = []
    for at, old in enumerate(order):
        cells = list(sentence.rows[old])
        cells[_ID], cells[_HEAD] = str(at + 1), _renumbered(cells[_HEAD], number)
        # Enhanced dependencies name words by number too, empty nodes among them, which are gone.
        cells[_DEPS] = "_"
        # SpaceAfter=No follows from the new text, not from the word: its neighbour is another now.
        touches = at + 1 < len(places) and places[at + 1]["start"] == places[at]["end"]
        cells[_MISC] = _with_space(cells[_MISC], touches)
        if "transliterate" in config.transforms:
            cells[_FORM], cells[_LEMMA] = map(transliterate_cell, cells[_FORM : _LEMMA + 1])
        rows.append(cells)
    # With "# text" go "# text_en" and its like, which belong to the sentence as it was.
    comments = [c for c in sentence.comments if not c.startswith("# text")]
    return TaggedSentence([*comments, f"{_TEXT}{texts.derived.texts[row].as_py()}"], rows)


def _words_only(sentence: TaggedSentence) -> TaggedSentence:
    """Returns a sentence without word ranges and empty nodes, which no other order can hold."""
    return TaggedSentence(sentence.comments, [row for row in sentence.rows if row[_ID].isdecimal()])


def _texts(sentences: list[TaggedSentence]) -> tuple[pa.StringArray, pa.ListArray]:
    """Returns the text of CoNLL-U sentences and their words, by form and SpaceAfter."""
    gaps = [
        ["" if "SpaceAfter=No" in row[_MISC].split("|") else " " for row in sentence.rows]
        for sentence in sentences
    ]
    return spaced_texts([[row[_FORM] for row in sentence.rows] for sentence in sentences], gaps)


def _derive_sentences(
    sentences: list[TaggedSentence],
    texts: pa.StringArray,
    spans: pa.ListArray,
    path: str,
    config: DeriveConfig,
) -> DerivedTexts:
    """Derives sentences whose words have heads."""
    words, names = task_texts(texts, spans, path), config.transforms
    if "syntax" not in names:
        order = word_order(words, names, seed=config.seed)
        return DerivedTexts(words, derive_in_order(words, order, config=config))
    # Heads are numbers of words in the first order.
    if names.index("syntax") > 0 and {"invert", "permute"} & set(names):
        raise ConfigError("transform syntax: name it first, before the parse is reordered")
    order = np.concatenate([np.zeros(0, np.int64), *_head_swaps(sentences, words, path)])
    # Orders compose by indexing: word k of the last one is `order[second[k]]` of the first, where
    # `second` is drawn on the text as `syntax` has left it.
    if rest := [name for name in names if name != "syntax"]:
        order = order[word_order(reorder(words, order), rest, seed=config.seed)]
    return DerivedTexts(words, derive_in_order(words, order, config=config))


def _head_swaps(sentences: list[TaggedSentence], words: SegmentedTexts, path: str) -> list[I64]:
    """Returns each sentence's words by `head_swap`, absolute, a final . ! ? kept last."""
    ends, _ = sentence_ends(words)
    orders = []
    for row, sentence in enumerate(sentences):
        base = int(words.words[row])
        try:
            order = head_swap([int(cells[_HEAD]) for cells in sentence.rows])
        except ValueError as error:
            raise InputError(f"{path}: sentence {row + 1} has no parse: {error}") from error
        last = len(order) - 1
        # A final . ! ? depends on the root in UD and would go before it otherwise.
        if order and ends[base + last]:
            order = [word for word in order if word != last] + [last]
        orders.append(base + np.array(order, np.int64))
    return orders


def _renumbered(head: str, number: dict[int, int]) -> str:
    return str(number[int(head)]) if head.isdecimal() and int(head) in number else "_"


def _with_space(misc: str, touches: bool) -> str:
    rest = [item for item in misc.split("|") if item not in ("_", "SpaceAfter=No")]
    return "|".join([*rest, *(["SpaceAfter=No"] if touches else [])]) or "_"


def _undo_derive(path: str, records: Records, config: DeriveConfig) -> list[str]:
    new = []
    for n, sentence in enumerate(read_tagged(path, n_cells=_N_CELLS)):
        text = next((c for c in sentence.comments if c.startswith(_TEXT)), None)
        # A file without "# text" was written by another tool; a space between words is a guess
        # then.
        forms = (row[_FORM] for row in sentence.rows)
        derived = " ".join(forms) if text is None else text.removeprefix(_TEXT)
        original = original_text(derived, str(n), records, config)
        if len(original.derived_index) != len(sentence.rows):
            raise InputError(f"{path}: sentence {n + 1} has other words than its record")
        rows = [list(sentence.rows[place]) for place in original.derived_index]
        for at, cells in enumerate(rows):
            _restore_cells(cells, at, original, records[str(n)]["source_index"], config)
        comments = [c if c != text else f"{_TEXT}{original.text}" for c in sentence.comments]
        new.append(TaggedSentence(comments, rows))
    return tagged_lines(new)


def _restore_cells(
    cells: list[str], at: int, original: OriginalText, source_index: list[int], config: DeriveConfig
) -> None:
    """Puts the cells of a CoNLL-U word back: its number, head, form, lemma and space."""
    head = int(cells[_HEAD]) if cells[_HEAD].isdecimal() else -1
    cells[_ID] = str(at + 1)
    cells[_HEAD] = cells[_HEAD] if head < 1 else str(source_index[head - 1] + 1)
    for cell in (_FORM, _LEMMA):
        cells[cell] = in_first_script(cells[cell], config)
    last = at + 1 == len(original.starts)
    touches = not last and original.starts[at + 1] == original.ends[at]
    cells[_MISC] = _with_space(cells[_MISC], touches)


POS = TaskFormat(name="pos", doc="CoNLL-U", derive=_derive, undo_derive=_undo_derive, parsed=True)
