"""Code-switching by sentence: whole fields of task data replaced by their translations.

The fine-tuning rule of the post-pretraining alignment (arXiv 2010.12547); that its unit is a whole
field is our choice. In NLI, premise and hypothesis may be in two languages and the label stays; in
question answering the question switches, and the context, with the answer's span in it, stays.

    en  He left.    She saw him go.   neutral      +  de  Er ging.
    ->  Er ging.    She saw him go.   neutral
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import I64, list_offsets, offsets_of, rows_of
from bitextile.kernels.rejects import join, split_rejects
from bitextile.kernels.rows import takes_tables
from bitextile.kernels.switch.core import (
    Substitutes,
    SwitchConfig,
    SwitchInput,
    SwitchOutput,
    Targets,
    check_weights,
    shares,
    switch,
)
from bitextile.kernels.tasks.nli import NO_SENTENCE
from bitextile.kernels.tasks.task import TaskExample, TextFields
from bitextile.kernels.tasks.tasks import get_text_fields, text_fields_of
from bitextile.kernels.text.codepoints import to_texts
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.fromtext import Language
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import list_of

METHOD = "task-field"

TRANSLATION = pa.struct(
    [
        pa.field("field", pa.int8(), False),
        pa.field("lang", pa.string(), False),
        pa.field("text", pa.string(), False),
    ]
)


@dataclass(frozen=True, kw_only=True)
class TaskFieldSwitchConfig(SwitchConfig):
    """How much is switched."""

    method: Literal["task-field"] = "task-field"
    """Whole fields of task data by their translations."""
    token_rate: float = 0.5
    """Share of a switched example's fields that are replaced, 0 to 1. Half, so that every
    combination of languages comes up (our choice)."""
    weights: dict[Language, float] = field(default_factory=dict)
    """Sampling weight of each language that a field is translated into; others weigh 1."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        super().__post_init__()
        check_weights(self.weights)


@dataclass(frozen=True, kw_only=True)
class TaskTranslations:
    """The languages of a data set of a task."""

    task: str = "nli"
    """Task of the files: nli (line n translates line n) or qa (questions match by id)."""
    language: Language = "en"
    """Language of the file that is switched."""
    translations: Mapping[Language, str]
    """Path of the translated file, by language."""


@dataclass(frozen=True, kw_only=True)
class TaskFiles(TaskTranslations):
    """One data set of a task in several languages."""

    file: str
    """Path of the file that is switched."""

    def __post_init__(self) -> None:
        """Raises ConfigError unless there is something to switch, and to switch into."""
        get_text_fields(self.task)
        if not self.translations or self.language in self.translations:
            raise ConfigError(
                f"translations of {self.file} are in {', '.join(self.translations) or 'nothing'}, "
                f"expected one language or more other than {self.language}"
            )


def task_schema(task: str) -> pa.Schema:
    """Returns the columns of `read_task`: text, its fields and translations, the label."""
    fields = get_text_fields(task)
    names = ("text_id", "lang", "text", "corpus", "file")
    columns = [pa.field(name, pa.string(), False) for name in names]
    columns += [pa.field("line", pa.int64(), False)]
    columns += [pa.field(name, pa.string(), False) for name in fields.names]
    columns += [fields.label, pa.field("translations", list_of(TRANSLATION), False)]
    return pa.schema(columns)


def read_task(files: TaskFiles) -> SwitchOutput:
    """Reads a task's files side by side.

    A translation is left out where its label differs (PAWS-X has such), where it is empty or "NS"
    (no sentence, PAWS-X), or where it equals the field; how many were used stands in the counters.

    Args:
        files: the data set.

    Returns:
        Kept: one row per example, columns `task_schema`. Rejects: "no_label/1", examples without a
        class (no consensus among annotators); "duplicate/1", examples whose text was there before
        (value: the line it was on). Counters: "translations_LANG".

    Raises:
        InputError: a file is not of its form, or line-aligned files differ in length.
    """
    fields = get_text_fields(files.task)
    examples = fields.read(files.file)
    others = {lang: fields.read(path) for lang, path in files.translations.items()}
    for lang, translated in others.items():
        if fields.by_line and len(translated) != len(examples):
            raise InputError(
                f"{files.translations[lang]} has {len(translated)} examples, {files.file} "
                f"{len(examples)}; line n of one must translate line n of the other"
            )
    # By key and not by position: question answering is translated in part (MLQA), in any order.
    by_key = {lang: {e.key: e for e in translated} for lang, translated in others.items()}
    rows = [_row(files, e, line, by_key) for line, e in enumerate(examples, 1)]
    batch = pa.RecordBatch.from_pylist(rows, schema=task_schema(files.task))
    labelled = np.array([fields.has_label(e.label) for e in examples], bool)
    batch, unlabelled = split_rejects(batch, labelled, rule="no_label/1", value=0.0)
    ids, lines = (batch.column(name).to_pylist() for name in ("text_id", "line"))
    first: dict[str, int] = {}
    at = np.array([first.setdefault(i, line) for i, line in zip(ids, lines)], np.float64)
    # At its own line a text is new; elsewhere it was there on an earlier one.
    own = np.array(lines) == at
    kept, copies = split_rejects(batch, own, rule="duplicate/1", value=at)
    used = Counter(kept.column("translations").flatten().field("lang").to_pylist())
    counts = {f"translations_{lang}": n for lang, n in sorted(used.items())}
    return SwitchOutput(kept, join([unlabelled, copies]), {files.language: counts})


@takes_tables
def switch_task_fields(batch: pa.RecordBatch, *, config: TaskFieldSwitchConfig) -> SwitchOutput:
    """Replaces fields of task data by their translations.

    Args:
        batch: [n] rows as `read_task` gives them.
        config: rates (of fields, where others have words), weights, variants, seed.

    Returns:
        As `core.switch` does, one input "text"; the rows carry the fields as they are now
        (premise and hypothesis, or context and question) and the label or the answers, whose
        offsets hold in `context` and in `text` alike. A replacement's origin is "translation",
        its score 1.
    """
    fields = text_fields_of(batch.schema.names)
    targets, substitutes = _field_targets(batch, fields, weights=config.weights)
    given = SwitchInput(
        side="text",
        rows=np.arange(batch.num_rows),
        batch=batch,
        ids=batch.column("text_id"),
        lang=batch.column("lang"),
        texts=to_texts(batch.column("text")),
        targets=targets,
        substitutes=substitutes,
        n_words=np.full(batch.num_rows, len(fields.switchable)),
    )
    made = switch([given], config=config, method=METHOD)
    return made._replace(kept=_with_labels(made.kept, batch, fields))


def _row(
    files: TaskFiles,
    example: TaskExample,
    line: int,
    by_key: dict[str, dict[str, TaskExample]],
) -> dict[str, Any]:
    fields = get_text_fields(files.task)
    text = "\n".join(example.fields)
    return {
        # As `text_ids` makes it, so that the parent of a switched row is the sentence's id in any
        # dataset.
        "text_id": stable_id(f"{files.language}\x1f{text}"),
        "lang": files.language,
        "text": text,
        "corpus": files.task,
        "file": files.file,
        "line": line,
        "translations": _translations(example, by_key, fields),
        **dict(zip(fields.names, example.fields, strict=True)),
        fields.label.name: example.label,
    }


def _translations(
    example: TaskExample, by_key: dict[str, dict[str, TaskExample]], fields: TextFields
) -> list[dict[str, Any]]:
    """Returns the usable translations of an example's fields, by field, then language."""
    found = []
    for number, name in enumerate(fields.names):
        for lang in sorted(by_key):
            other = by_key[lang].get(example.key)
            if name not in fields.switchable or other is None:
                continue
            # A translation with another label would teach the wrong one, whichever of the two is
            # kept.
            if not fields.labels_agree(example.label, other.label):
                continue
            mine, translated = example.fields[number].strip(), other.fields[number]
            if mine not in NO_SENTENCE and translated.strip() not in (*NO_SENTENCE, mine):
                found.append({"field": number, "lang": lang, "text": translated})
    return found


def _field_targets(
    batch: pa.RecordBatch, fields: TextFields, *, weights: dict[Language, float]
) -> tuple[Targets, Substitutes]:
    """Returns the fields that have translations, and these."""
    lists, flat = batch.column("translations"), batch.column("translations").flatten()
    row, number = rows_of(list_offsets(lists)), flat.field("field").to_numpy().astype(np.int64)
    # Translations stand by field, so those of a (row, field) are neighbours.
    place, target = np.unique(row * 2 + number, return_inverse=True)
    # `text` is both fields with a newline between, and positions are code points in it:
    #
    #     He left.\nShe saw him go.        field 0: [0, 8)    field 1: [9, 24)
    first, second = (
        pc.utf8_length(batch.column(name)).to_numpy().astype(np.int64) for name in fields.names
    )
    of_row, of_field = place // 2, place % 2
    start = np.where(of_field == 0, 0, first[of_row] + 1)
    end = start + np.where(of_field == 0, first[of_row], second[of_row])
    lang = flat.field("lang").dictionary_encode()
    names = lang.dictionary.to_pylist()
    source = lang.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    weight = np.array([weights.get(name, 1.0) for name in names], float)[source]
    texts = to_texts(flat.field("text"))
    bounds: I64 = offsets_of(np.bincount(target, minlength=len(place)))
    substitutes = Substitutes(
        texts.points,
        texts.offsets[:-1],
        texts.offsets[1:],
        shares(weight, target),
        np.ones(len(source), np.float32),
        source,
        tuple((name, "translation") for name in names),
    )
    # The number of the field keys its draw, so a field without translations moves no other draw.
    return Targets(of_row, start, end, of_field, bounds[:-1], bounds[1:]), substitutes


def _with_labels(kept: pa.RecordBatch, batch: pa.RecordBatch, fields: TextFields) -> pa.RecordBatch:
    """Returns switched rows with their fields as they are now, and with the labels."""
    # By id: each parent has a row for each variant, and those without a replacement have none.
    parents = batch.take(pc.index_in(kept.column("parent_id"), batch.column("text_id")))
    texts = list(_split_texts(kept, parents.column(fields.names[0])))
    new = [pa.array([row[number] for row in texts], pa.string()) for number in (0, 1)]
    schema = [pa.field(name, pa.string(), False) for name in fields.names]
    return pa.RecordBatch.from_arrays(
        [*kept.columns, *new, parents.column(fields.label.name)],
        schema=pa.schema([*kept.schema, *schema, fields.label]),
    )


def _split_texts(kept: pa.RecordBatch, first: pa.StringArray) -> Iterator[tuple[str, str]]:
    """Yields the two fields of each switched text, cut at the newline between them.

    Args:
        kept: switched rows.
        first: [rows] the first field as it was. It may hold newlines itself, so its length, or that
            of its replacement, says where the second begins.
    """
    columns = kept.column("text"), kept.column("replacements"), first
    for text, replaced, field_ in zip(*(column.to_pylist() for column in columns), strict=True):
        ahead = replaced and replaced[0]["start"] == 0 and replaced[0]["original"] == field_
        at = replaced[0]["end"] if ahead else len(field_)
        yield text[:at], text[at + 1 :]
