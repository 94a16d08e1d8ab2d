"""`evaluate`: one task on one model (or dataset), the result as JSON values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from bitextile.schema.errors import ConfigError, OutputExistsError
from bitextile.schema.inputs import refuse_part_of
from bitextile.schema.storage import exists, write_atomically
from bitextile.trainer.evaluate.task import Task
from bitextile.trainer.evaluate.tasks import get_task


def evaluate(
    model: str,
    *,
    task: str,
    data: Sequence[str],
    out: str | None = None,
    overwrite: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Measures a model, or for `alignment` also the links of a dataset.

    Args:
        model: a model folder; for task alignment, an aligned dataset's folder will do.
        task: name of a task (tasks.py).
        data: paths, of what `Task.data` names.
        out: JSON file to write; None writes none.
        overwrite: replace `out`.
        options: those of the task, by name.

    Returns:
        task, model, data, settings, and `results` by language pair, file, dataset or language;
        every figure as value, low, high.

    Raises:
        ConfigError: an unknown task, an option that it does not have, a model or data that do not
            fit it.
        OutputExistsError: `out` exists and `overwrite` is false.
        InputError: data cannot be read or hold nothing to measure on.
    """
    chosen = get_task(task)
    settings = _options_of(chosen, options)
    if not data:
        raise ConfigError(f"task {task} needs data ({chosen.data}); give --data")
    if out is not None:
        if exists(out) and not overwrite:
            raise OutputExistsError(f"{out}: exists already; give --overwrite or another --out")
        # Figures may stand in a model's folder; its configuration and weights are no figures.
        refuse_part_of(out, [model, *data], written_before=lambda start: b'"task":' in start[:16])
    if not exists(model):
        raise ConfigError(f"{model}: no such folder; give that of a model")
    # Data first: what is wrong with them is reported before a model is loaded.
    named = chosen.read(data, settings)
    prepared = chosen.prepare(model, settings)
    results = {
        name: _plain(chosen.metrics(prepared, found, settings)) for name, found in named.items()
    }
    report = {"task": task, "model": model, "data": list(data)}
    report |= chosen.settings(prepared, settings) | {"results": results}
    if out is not None:
        text = json.dumps(report, ensure_ascii=False, indent=1) + "\n"
        write_atomically(out, text.encode(), overwrite=overwrite)
    return report


def _options_of(task: Task[Any, Any, Any], given: Mapping[str, Any]) -> Any:
    known = [field.name for field in fields(task.options)]
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(
            f"{', '.join(unknown)}: no option of task {task.name}, "
            f"which has {', '.join(known) or 'none'}"
        )
    return task.options(**given)


def _plain(result: Any) -> dict[str, Any]:
    if isinstance(result, Mapping):
        return {name: _plain(value) for name, value in result.items()}
    return asdict(result)
