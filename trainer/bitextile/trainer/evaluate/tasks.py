"""The tasks, one line each: those of FINETUNE_TASKS `finetune` teaches, all `evaluate` measures."""

from typing import Any

from bitextile.schema.errors import ConfigError
from bitextile.trainer.evaluate.alignment import AlignmentTask
from bitextile.trainer.evaluate.bli import BliTask
from bitextile.trainer.evaluate.classification import ClassificationTask
from bitextile.trainer.evaluate.perplexity import ConditionalPerplexityTask, PerplexityTask
from bitextile.trainer.evaluate.retrieval import RetrievalTask
from bitextile.trainer.evaluate.task import FinetuneTask, Task

# A task is listed once: here if `finetune` can teach it, else below.
FINETUNE_TASKS: tuple[FinetuneTask, ...] = (ClassificationTask(),)
TASKS: tuple[Task[Any, Any, Any], ...] = (
    RetrievalTask(),
    AlignmentTask(),
    PerplexityTask(),
    ConditionalPerplexityTask(),
    BliTask(),
    *FINETUNE_TASKS,
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


def get_finetune_task(name: str) -> FinetuneTask:
    """Returns the task of a name that `finetune` can teach.

    Raises:
        ConfigError: there is none.
    """
    for task in FINETUNE_TASKS:
        if task.name == name:
            return task
    names = ", ".join(t.name for t in FINETUNE_TASKS)
    raise ConfigError(f"task is {name!r}, expected one that can be learned: {names}")
