"""Derived languages of task data: the same reordering and script, labels and spans carried along.

    pos  CoNLL-U        tags and features move with their words; heads are renumbered
    ner  word TAB tag   a B- stands where an entity now begins: B-PER I-PER -> B-PER I-PER
    nli  TSV            both sentences; the label stays
    qa   SQuAD's JSON   contexts, questions; answers where their words now stand

A parse also gives `syntax`: a dependent before its head goes behind it, and the other way round;
dependents of one side keep their order, and the final . ! ? stays last.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import I64, rows_of
from bitextile.kernels.derive.rows import (
    DeriveConfig,
    Derived,
    aligned_rows,
    arrange,
    derive_texts,
    derived_tag,
)
from bitextile.kernels.tasks.files import (
    Tagged,
    nli_lines,
    questions,
    read_nli,
    read_qa,
    read_tagged,
    tagged_lines,
)
from bitextile.kernels.text.private_script import (
    count_private_use,
    transliterate,
    transliterate_text,
)
from bitextile.kernels.text.segment import segment
from bitextile.kernels.text.sentences import sentence_ends
from bitextile.kernels.text.words import SegmentedTexts, segmented_texts
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO, SPANS

_CELLS = {"pos": 10, "ner": 2}
_ID, _FORM, _LEMMA, _HEAD, _DEPS, _MISC = 0, 1, 2, 6, 8, 9


class TaskDerived(NamedTuple):
    """A derived file: its lines, counts of what was read, kept and left out, and the way back.

    `records` are JSON lines, one for each text, that `restoretask.restore_task` reads: its `name`
    in the file, its `words` as spans of the derived text, for each the number of the word it was
    made from (`was`), the `gaps` around the words as they were, and the `tags` of named entities.
    They are gold links, too.
    """

    lines: list[str]
    counts: dict[str, int]
    records: list[str]


def derive_task(task: str, path: str, *, lang: str, config: DeriveConfig) -> TaskDerived:
    """Derives a file of task data, in its own format.

    Args:
        task: "pos", "ner", "nli" or "qa".
        path: the file.
        lang: BCP-47 tag of its text.
        config: the transforms; `syntax` only for "pos".

    Returns:
        The new file. A question none of whose answers stays in one piece, as whole words, is left
        out and counted as "answer_scattered".

    Raises:
        InputError: the file is not of its form, or uses the private script already.
        ConfigError: `syntax` for anything else than "pos".
    """
    makers = {"pos": _derive_conllu, "ner": _derive_ner, "nli": _derive_nli, "qa": _derive_qa}
    if task not in makers:
        raise ConfigError(f"task is {task!r}, expected one of {', '.join(makers)}")
    if "syntax" in config.transforms and task != "pos":
        raise ConfigError(f"transform syntax: needs a parse (CoNLL-U), task {task} has none")
    return makers[task](path, lang, config)


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
    sentences = [_words_only(s) for s in read_tagged(path, n_cells=_CELLS["pos"])]
    texts, spans = _text_of(sentences)
    ids = text_ids(lang, texts)
    first = np.sort(np.unique(np.array(ids.to_pylist(), dtype="U32"), return_index=True)[1])
    sentences = [sentences[k] for k in first.tolist()]
    texts, spans, ids = (column.take(pa.array(first)) for column in (texts, spans, ids))
    n = len(sentences)
    columns = [ids, pa.repeat(lang, n), texts, pa.repeat("parsed", n), pa.repeat(path, n)]
    columns += [pa.array(first + 1, pa.int64()), pa.repeat("train", n)]
    batch = pa.RecordBatch.from_arrays(columns, schema=MONO.schema)
    words, derived = _derived(sentences, texts, spans, path, config)
    return aligned_rows(batch, words, derived, transforms=config.transforms)


def head_swap(heads: Sequence[int]) -> list[int]:
    """Returns the words of a sentence with every dependent on the other side of its head.

    Args:
        heads: [n] of each word, counted from 1; 0 for the root.

    Raises:
        ValueError: a head is out of range or words hang on each other in a circle.

    >>> words, heads = "the dog chased a cat".split(), [2, 3, 0, 5, 3]
    >>> " ".join(words[k] for k in head_swap(heads))
    'cat a chased dog the'
    """
    below: list[list[int]] = [[] for _ in range(len(heads) + 1)]
    for word, head in enumerate(heads, 1):
        if not 0 <= head <= len(heads):
            raise ValueError(f"word {word} has the head {head} of {len(heads)} words")
        below[head].append(word)
    order: list[int] = []
    # A stack instead of recursion: a sentence may be a chain of a thousand words.
    stack = [(word, False) for word in reversed(below[0])]
    while stack:
        word, said = stack.pop()
        if said:
            order.append(word - 1)
            continue
        stack += [(w, False) for w in reversed(below[word]) if w < word]
        stack.append((word, True))
        stack += [(w, False) for w in reversed(below[word]) if w > word]
    if len(order) < len(heads):
        raise ValueError("words hang on each other in a circle")
    return order


# --- words with tags ----------------------------------------------------------------------------


def _derive_conllu(path: str, lang: str, config: DeriveConfig) -> TaskDerived:
    read = read_tagged(path, n_cells=_CELLS["pos"])
    sentences = [_words_only(sentence) for sentence in read]
    texts, spans = _text_of(sentences)
    words, derived = _derived(sentences, texts, spans, path, config)
    new, script = [], "transliterate" in config.transforms
    for row, (sentence, order) in enumerate(zip(sentences, _orders(words, derived), strict=True)):
        text, places = derived.texts[row].as_py(), derived.spans[row].as_py()
        number = {old + 1: at + 1 for at, old in enumerate(order)} | {0: 0}
        rows = []
        for at, old in enumerate(order):
            cells = list(sentence.rows[old])
            cells[_ID], cells[_HEAD] = str(at + 1), _renumbered(cells[_HEAD], number)
            cells[_DEPS] = "_"
            touches = at + 1 < len(places) and places[at + 1]["start"] == places[at]["end"]
            cells[_MISC] = _with_space(cells[_MISC], touches)
            if script:
                cells[_FORM], cells[_LEMMA] = map(_in_script, cells[_FORM : _LEMMA + 1])
            rows.append(cells)
        comments = [c for c in sentence.comments if not c.startswith("# text")]
        new.append(Tagged([*comments, f"# text = {text}"], rows))
    records = _records(words, derived, map(str, range(len(read))))
    return TaskDerived(tagged_lines(new), {"read": len(read), "kept": len(new)}, records)


def _derive_ner(path: str, lang: str, config: DeriveConfig) -> TaskDerived:
    sentences = read_tagged(path, n_cells=_CELLS["ner"])
    forms = [[row[0] for row in sentence.rows] for sentence in sentences]
    texts, spans = _spaced(forms)
    words, derived = _derived(None, texts, spans, path, config)
    new = []
    for sentence, order in zip(sentences, _orders(words, derived), strict=True):
        tags = reordered_tags([row[1] for row in sentence.rows], order)
        rows = [[sentence.rows[old][0], tag] for old, tag in zip(order, tags)]
        if "transliterate" in config.transforms:
            rows = [[_in_script(form), tag] for form, tag in rows]
        new.append(Tagged([], rows))
    before = [[row[1] for row in sentence.rows] for sentence in sentences]
    records = _records(words, derived, map(str, range(len(new))), before)
    return TaskDerived(tagged_lines(new), {"read": len(sentences), "kept": len(new)}, records)


def reordered_tags(tags: Sequence[str], order: Sequence[int]) -> list[str]:
    """Returns BIO tags of words in another order, each piece of an entity beginning with B-.

    Args:
        tags: [n] "O", "B-TYPE" or "I-TYPE".
        order: [n] which word comes next.

    Raises:
        InputError: a tag of another form.

    >>> reordered_tags(["B-PER", "I-PER", "O", "B-LOC"], [3, 2, 1, 0])
    ['B-LOC', 'O', 'B-PER', 'I-PER']
    """
    entity, entities, last = 0, [], "O"
    for tag in tags:
        if tag != "O" and tag[:2] not in ("B-", "I-"):
            raise InputError(f"tag {tag!r}: expected O, B-TYPE or I-TYPE")
        begins = tag.startswith("B-") or last[2:] != tag[2:]
        entity += begins
        entities.append(0 if tag == "O" else entity)
        last = tag
    new, before = [], 0
    for old in order:
        mark = "I-" if entities[old] == before else "B-"
        new.append("O" if tags[old] == "O" else mark + tags[old][2:])
        before = entities[old]
    return new


def _words_only(sentence: Tagged) -> Tagged:
    """Returns a sentence without word ranges and empty nodes, which no other order can hold."""
    return Tagged(sentence.comments, [row for row in sentence.rows if row[_ID].isdecimal()])


def _text_of(sentences: list[Tagged]) -> tuple[pa.StringArray, pa.ListArray]:
    """Returns the text of CoNLL-U sentences and their words, by form and SpaceAfter."""
    gaps = [
        ["" if "SpaceAfter=No" in row[_MISC].split("|") else " " for row in sentence.rows]
        for sentence in sentences
    ]
    return _spaced([[row[_FORM] for row in sentence.rows] for sentence in sentences], gaps)


def _spaced(
    forms: list[list[str]], gaps: list[list[str]] | None = None
) -> tuple[pa.StringArray, pa.ListArray]:
    texts, spans = [], []
    for row, words in enumerate(forms):
        between = gaps[row] if gaps else [" "] * len(words)
        text, places = "", []
        for word, gap in zip(words, [*between[:-1], ""]):
            places.append({"start": len(text), "end": len(text) + len(word)})
            text += word + gap
        texts.append(text)
        spans.append(places)
    return pa.array(texts, pa.string()), pa.array(spans, SPANS)


def _derived(
    parsed: list[Tagged] | None,
    texts: pa.StringArray,
    spans: pa.ListArray,
    path: str,
    config: DeriveConfig,
) -> tuple[SegmentedTexts, Derived]:
    """Returns the words of texts and what is derived from them; `parsed` if they have heads."""
    held = np.flatnonzero(count_private_use(texts))
    if len(held):
        raise InputError(
            f"{path}: text {int(held[0]) + 1} holds code points of the private-use planes, where "
            "derived languages are written; take them out first"
        )
    words = segmented_texts(texts, spans)
    names = config.transforms
    if "syntax" not in names:
        return words, derive_texts(words, config=config)
    if parsed is None or (names.index("syntax") > 0 and {"invert", "permute"} & set(names)):
        raise ConfigError("transform syntax: name it first, before the parse is reordered")
    order = np.concatenate([np.zeros(0, np.int64), *_swapped(parsed, words, path)])
    rest = tuple(name for name in names if name in ("invert", "permute"))
    if rest:
        again = arrange(words, order)
        reordered = segmented_texts(again.texts, again.spans)
        config = DeriveConfig(transforms=rest, seed=config.seed)
        order = order[derive_texts(reordered, config=config).order]
    return words, arrange(words, order, transliterated="transliterate" in names)


def _swapped(parsed: list[Tagged], words: SegmentedTexts, path: str) -> list[I64]:
    """Returns each sentence's words by `head_swap`, absolute, a final . ! ? kept last."""
    ends, _ = sentence_ends(words)
    orders = []
    for row, sentence in enumerate(parsed):
        base = int(words.words[row])
        try:
            order = head_swap([int(cells[_HEAD]) for cells in sentence.rows])
        except ValueError as error:
            raise InputError(f"{path}: sentence {row + 1} has no parse: {error}") from error
        last = len(order) - 1
        if order and ends[base + last]:
            order = [word for word in order if word != last] + [last]
        orders.append(base + np.array(order, np.int64))
    return orders


def _orders(words: SegmentedTexts, derived: Derived) -> list[list[int]]:
    local = derived.order - words.words[rows_of(words.words)]
    bounds = zip(words.words[:-1].tolist(), words.words[1:].tolist())
    return [local[low:high].tolist() for low, high in bounds]


def _records(
    words: SegmentedTexts,
    derived: Derived,
    names: Iterable[str],
    tags: list[list[str]] | None = None,
) -> list[str]:
    """Returns the way back for each text, as `TaskDerived` says."""
    orders, spans = _orders(words, derived), derived.spans.to_pylist()
    records = []
    for row, (name, order, places) in enumerate(zip(names, orders, spans, strict=True)):
        low, high = words.words[row : row + 2].tolist()
        base, end = words.texts.offsets[row : row + 2].tolist()
        edges = [base, *np.ravel([words.starts[low:high], words.ends[low:high]], "F").tolist(), end]
        text = words.texts.points[base:end].tobytes().decode("utf-32-le")
        gaps = [text[a - base : b - base] for a, b in zip(edges[::2], edges[1::2])]
        record: dict[str, Any] = {"name": name, "was": order, "gaps": gaps}
        record["words"] = [[place["start"], place["end"]] for place in places]
        if tags is not None:
            record["tags"] = tags[row]
        records.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
    return records


def _renumbered(head: str, number: dict[int, int]) -> str:
    return str(number[int(head)]) if head.isdecimal() and int(head) in number else "_"


def _with_space(misc: str, touches: bool) -> str:
    rest = [item for item in misc.split("|") if item not in ("_", "SpaceAfter=No")]
    return "|".join([*rest, *(["SpaceAfter=No"] if touches else [])]) or "_"


def _in_script(form: str) -> str:
    return form if form == "_" else transliterate_text(form)


# --- texts --------------------------------------------------------------------------------------


def _derived_texts(
    texts: list[str], path: str, lang: str, config: DeriveConfig
) -> tuple[SegmentedTexts, Derived]:
    column = pa.array(texts, pa.string())
    return _derived(None, column, segment(column, lang), path, config)


def _derive_nli(path: str, lang: str, config: DeriveConfig) -> TaskDerived:
    table, records = read_nli(path), []
    for number in (table.premise, table.hypothesis):
        words, derived = _derived_texts([row[number] for row in table.rows], path, lang, config)
        for row, text in zip(table.rows, derived.texts.to_pylist(), strict=True):
            row[number] = text
        records += _records(words, derived, (f"{n} {number}" for n in range(len(table.rows))))
    counts = {"read": len(table.rows), "kept": len(table.rows)}
    return TaskDerived(nli_lines(table), counts, records)


def _derive_qa(path: str, lang: str, config: DeriveConfig) -> TaskDerived:
    data, counts = read_qa(path), Counter({"read": 0, "kept": 0})
    asked = [qa for _, qa in questions(data)]
    words, derived = _derived_texts([qa["question"] for qa in asked], path, lang, config)
    records = _records(words, derived, (f"question {qa['id']}" for qa in asked))
    for qa, text in zip(asked, derived.texts.to_pylist(), strict=True):
        qa["question"] = text
    paragraphs = [p for article in data["data"] for p in article["paragraphs"]]
    contexts = [paragraph["context"] for paragraph in paragraphs]
    words, derived = _derived_texts(contexts, path, lang, config)
    records += _records(words, derived, (f"context {n}" for n in range(len(contexts))))
    for row, (paragraph, order) in enumerate(zip(paragraphs, _orders(words, derived), strict=True)):
        low, high = words.words[row], words.words[row + 1]
        base = words.texts.offsets[row]
        old = np.stack([words.starts[low:high], words.ends[low:high]], axis=1) - base
        new = derived.spans[row].as_py()
        context = derived.texts[row].as_py()
        kept = []
        for qa in paragraph["qas"]:
            counts["read"] += 1
            found = [
                _moved(paragraph["context"], context, a, old=old, new=new, order=order)
                for a in qa["answers"]
            ]
            qa["answers"] = [answer for answer in found if answer is not None]
            if qa["answers"] or not found:
                kept.append(qa)
        counts["kept"] += len(kept)
        paragraph["context"], paragraph["qas"] = context, kept
    if counts["read"] > counts["kept"]:
        counts["answer_scattered"] = counts["read"] - counts["kept"]
    return TaskDerived([json.dumps(data, ensure_ascii=False, indent=1)], dict(counts), records)


def _moved(
    before: str,
    context: str,
    answer: dict[str, Any],
    *,
    old: np.ndarray,
    new: list[dict[str, int]],
    order: list[int],
) -> dict[str, Any] | None:
    """Returns an answer where its words now stand, None if they no longer stand together.

    Args:
        before: the context as it was.
        context: as it is now.
        answer: of SQuAD's form.
        old: [words, 2] spans in `before`.
        new: spans of the words in `context`.
        order: for each of them the number of the word it was.
    """
    start, end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
    if order == sorted(order):
        moved = start, end
        if context != before:
            points = np.frombuffer(before.encode("utf-32-le"), np.uint32)
            moved = tuple(transliterate(points)[1][[start, end]].tolist())
    else:
        inside = np.flatnonzero((old[:, 0] < end) & (old[:, 1] > start))
        whole = len(inside) and old[inside[0], 0] >= start and old[inside[-1], 1] <= end
        places = sorted(order.index(word) for word in inside.tolist())
        if not whole or places[-1] - places[0] + 1 != len(places):
            return None
        moved = new[places[0]]["start"], new[places[-1]]["end"]
    return {**answer, "answer_start": moved[0], "text": context[moved[0] : moved[1]]}


def derived_name(path: str, lang: str, transforms: Sequence[str]) -> str:
    """Returns the name of a derived file.

    >>> derived_name("eval/dev-en.tsv.gz", "en", ["invert"])
    'dev-en.en-inverted.tsv'
    """
    name = path.rsplit("/", 1)[-1]
    for ending in (".gz", ".bz2", ".xz", ".zst"):
        name = name.removesuffix(ending)
    stem, dot, ending = name.rpartition(".")
    tag = derived_tag(lang, transforms)
    return f"{stem}.{tag}.{ending}" if dot else f"{name}.{tag}"
