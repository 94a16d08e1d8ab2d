"""The tasks of `evaluate`, one line each."""

from typing import Any

from bitextile.schema.errors import ConfigError
from bitextile.trainer.evaluate.alignment import AlignmentTask
from bitextile.trainer.evaluate.bli import BliTask
from bitextile.trainer.evaluate.classification import ClassificationTask
from bitextile.trainer.evaluate.perplexity import ConditionalPerplexityTask, PerplexityTask
from bitextile.trainer.evaluate.retrieval import RetrievalTask
from bitextile.trainer.evaluate.task import Task

TASKS: tuple[Task[Any, Any, Any], ...] = (
    RetrievalTask(),
    AlignmentTask(),
    PerplexityTask(),
    ConditionalPerplexityTask(),
    BliTask(),
    ClassificationTask(),
)


def get_task(name: str) -> Task[Any, Any, Any]:
    """Returns the task of a name.

    Raises:
        ConfigError: there is none.
    """
    for task in TASKS:
        if task.name == name:
            return task
    raise ConfigError(f"task is {name!r}, expected one of {', '.join(t.name for t in TASKS)}")
