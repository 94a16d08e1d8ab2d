"""The tasks whose data is read: a new one is a module with a `TaskFormat`, and a line here."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from bitextile.kernels.derive.config import DeriveConfig, derived_tag
from bitextile.kernels.tasks.ner import NER
from bitextile.kernels.tasks.nli import NLI
from bitextile.kernels.tasks.pos import POS
from bitextile.kernels.tasks.qa import QA
from bitextile.kernels.tasks.records import read_records
from bitextile.kernels.tasks.task import DerivedTask, TaskFormat, TextFields
from bitextile.schema.errors import ConfigError, SchemaError

Named = TypeVar("Named")
TASKS: tuple[TaskFormat, ...] = (POS, NER, NLI, QA)


def get_task_format(name: str) -> TaskFormat:
    """Returns a task; raises ConfigError for an unknown name."""
    return _named(name, {task.name: task for task in TASKS})


def get_text_fields(name: str) -> TextFields:
    """Returns the fields of a task that can be switched; raises ConfigError for one without."""
    return _named(name, {task.name: task.fields for task in TASKS if task.fields is not None})


def text_fields_of(columns: Iterable[str]) -> TextFields:
    """Returns the fields that the columns of rows hold.

    Raises:
        SchemaError: they are those of no task.
    """
    names = set(columns)
    for task in TASKS:
        if task.fields is not None and names.issuperset(task.fields.names):
            return task.fields
    raise SchemaError(
        f"rows of task data have columns {', '.join(columns)}; expected the fields of a task, as "
        "`read_task` gives them"
    )


def _named(name: str, known: dict[str, Named]) -> Named:
    if name not in known:
        raise ConfigError(f"task is {name!r}, expected one of {', '.join(known)}")
    return known[name]


def derive_task(task: str, path: str, *, lang: str, config: DeriveConfig) -> DerivedTask:
    """Derives a file of task data, in its own format.

    Args:
        task: name of one of TASKS.
        path: the file.
        lang: BCP-47 tag of its text.
        config: the transforms; `syntax` only where there is a parse.

    Returns:
        The new file. A question none of whose answers stays in one piece, as whole words, is left
        out and counted as "answer_scattered".

    Raises:
        InputError: the file is not of its form, or uses the private script already.
        ConfigError: an unknown task, or `syntax` for one without parses.
    """
    found = get_task_format(task)
    if "syntax" in config.transforms and not found.parsed:
        raise ConfigError(f"transform syntax: needs a parse (CoNLL-U), task {task} has none")
    return found.derive(path, lang, config)


def undo_derive_task(task: str, path: str, records: str, *, config: DeriveConfig) -> list[str]:
    """Undoes `derive_task`.

    Args:
        task: name of one of TASKS.
        path: the derived file.
        records: the file with the `records` of `derive_task`, a JSON object in each line.
        config: what the file was derived with.

    Returns:
        The lines of the file as it was, but for what a derived file cannot hold.

    Raises:
        InputError: the records are those of another file.
        ConfigError: an unknown task.
    """
    return get_task_format(task).undo_derive(path, read_records(records), config)


def derived_name(path: str, lang: str, transforms: Sequence[str]) -> str:
    """Returns the name of a derived file.

    >>> derived_name("eval/dev-en.tsv.gz", "en", ["invert"])
    'dev-en.en-inverted.tsv'
    """
    name = path.rsplit("/", 1)[-1]
    # Read compressed, written plain.
    for ending in (".gz", ".bz2", ".xz", ".zst"):
        name = name.removesuffix(ending)
    stem, dot, ending = name.rpartition(".")
    tag = derived_tag(lang, transforms)
    return f"{stem}.{tag}.{ending}" if dot else f"{name}.{tag}"
