"""Named-entity recognition: word TAB tag, an empty line between sentences (PAN-X, CoNLL).

Derived, a B- stands where an entity now begins: B-PER I-PER -> B-PER I-PER.
"""

from collections.abc import Sequence

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.texts import derive_texts
from bitextile.kernels.tasks.records import (
    DerivedTexts,
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
from bitextile.schema.errors import InputError

_N_CELLS = 2


def _derive(path: str, lang: str, config: DeriveConfig) -> DerivedTask:
    sentences = read_tagged(path, n_cells=_N_CELLS)
    forms = [[form for form, _ in sentence.rows] for sentence in sentences]
    before = [[tag for _, tag in sentence.rows] for sentence in sentences]
    words = task_texts(*spaced_texts(forms), path)
    texts = DerivedTexts(words, derive_texts(words, config=config))
    script = "transliterate" in config.transforms
    new = []
    for words_, tags, order in zip(forms, before, texts.source_indices(), strict=True):
        moved = [transliterate_cell(words_[old]) if script else words_[old] for old in order]
        rows = [[form, tag] for form, tag in zip(moved, reorder_tags(tags, order), strict=True)]
        new.append(TaggedSentence([], rows))
    records = to_records(texts, map(str, range(len(new))), before)
    return DerivedTask(tagged_lines(new), {"read": len(sentences), "kept": len(new)}, records)


def reorder_tags(tags: Sequence[str], order: Sequence[int]) -> list[str]:
    """Returns BIO tags of words in another order, each part of an entity beginning with B-.

    Args:
        tags: [n] "O", "B-TYPE" or "I-TYPE".
        order: [n] which word comes next.

    Raises:
        InputError: a tag of another form.

    >>> reorder_tags(["B-PER", "I-PER", "O", "B-LOC"], [3, 2, 1, 0])
    ['B-LOC', 'O', 'B-PER', 'I-PER']
    """
    entity, entities, last = 0, [], "O"
    for tag in tags:
        if tag != "O" and tag[:2] not in ("B-", "I-"):
            raise InputError(f"tag {tag!r}: expected O, B-TYPE or I-TYPE")
        # An I- after O or after another type begins an entity as well, as in IOB1 files.
        begins = tag.startswith("B-") or last[2:] != tag[2:]
        entity += begins
        entities.append(0 if tag == "O" else entity)
        last = tag
    new, before = [], 0
    for old in order:
        # The words of an entity may no longer stand together; each part of it begins with B-, so
        # that no I- follows a word of another entity.
        mark = "I-" if entities[old] == before else "B-"
        new.append("O" if tags[old] == "O" else mark + tags[old][2:])
        before = entities[old]
    return new


def _undo_derive(path: str, records: Records, config: DeriveConfig) -> list[str]:
    new = []
    for n, sentence in enumerate(read_tagged(path, n_cells=_N_CELLS)):
        text = " ".join(form for form, _ in sentence.rows)
        order = original_text(text, str(n), records, config).derived_index
        # The tags come from the record: which parts were one entity is lost in the derived file.
        tags = records[str(n)].get("tags")
        if tags is None or len(order) != len(sentence.rows):
            raise InputError(f"{path}: sentence {n + 1} has other words than its record")
        forms = [in_first_script(sentence.rows[place][0], config) for place in order]
        new.append(TaggedSentence([], [[form, tag] for form, tag in zip(forms, tags)]))
    return tagged_lines(new)


NER = TaskFormat(
    name="ner", doc="lines of word TAB tag (BIO)", derive=_derive, undo_derive=_undo_derive
)
