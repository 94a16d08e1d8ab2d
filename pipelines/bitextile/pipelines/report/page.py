"""`report`: one HTML page to look at a dataset with, whole in itself.

No script, no request, nothing from outside: the page can be mailed, archived or put behind any
server. All text in it is untrusted and passes through the template engine's escaping.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from bitextile.kernels.drawing.examples import (
    ShownRow,
    examples_of,
)
from bitextile.kernels.drawing.geometry import Drawing
from bitextile.kernels.drawing.svg import svg
from bitextile.kernels.drawing.typeset import direction, sanitized
from bitextile.kernels.text.private_script import PRIVATE_SCRIPT
from bitextile.pipelines.report.config import DEFAULT_REPORT, ReportConfig
from bitextile.pipelines.report.lexicon_words import LexiconWord, lexicon_words
from bitextile.pipelines.report.statistics import (
    KeyStatistics,
    RejectStatistics,
    key_statistics,
    reject_statistics,
)
from bitextile.pipelines.report.training import evaluation_rows, loss_chart
from bitextile.pipelines.runner.progress import shown
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError, OutputExistsError
from bitextile.schema.inputs import refuse_part_of
from bitextile.schema.storage import exists, write_atomically

LANGUAGE_COLOURS = 8
"""Colours of the style sheet that can be told apart in both schemes; the next as many have
them again, underlined."""
HOVER_WORDS = 60
"""Words of a side that show their links alone on hover; each costs a rule of the style sheet."""
MADE_LINES = 200
"""Lines shown of a manifest's configuration, inputs and software."""


@dataclass(frozen=True, kw_only=True)
class DatasetView:
    """A dataset as the page shows it.

    Attributes:
        name: the last part of its path.
        path: as given.
        kind: of its rows.
        rows: of the data shards.
        shards: their number.
        bytes: of the data shards.
        digest: `sha256:...`.
        created: to the minute.
        read: rows read.
        kept: rows kept.
        rules: what dropped the others.
        statistics: by key.
        examples: rows to look at.
        words: of a lexicon, to look at.
        langs: languages that coloured words are in.
        private: whether a language of the examples is in the script of derived ones.
        made: configuration, inputs and software as JSON.
    """

    name: str
    path: str
    kind: str
    rows: int
    shards: int
    bytes: int
    digest: str
    created: str
    read: int
    kept: int
    rules: list[RejectStatistics]
    statistics: list[KeyStatistics]
    examples: list[ShownRow]
    words: list[LexiconWord]
    langs: list[str]
    private: bool
    made: str

    @property
    def kept_share(self) -> float:
        """Rows kept of those read; 1 where none was read."""
        return self.kept / self.read if self.read else 1.0


def write_report(
    datasets: Sequence[str],
    out: str,
    *,
    config: ReportConfig = DEFAULT_REPORT,
    extras: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes one self-contained HTML page about datasets and, if given, a training run.

    Equal datasets and extras give an equal page: examples are chosen by id, nothing by chance.

    Args:
        datasets: folders or URIs of any kind; candidates are shown with their counts alone.
        out: the HTML file; written whole or not at all.
        config: the heading, and how many rows are shown.
        extras: `metrics`, rows of the trainer's metrics.jsonl (step, loss, losses per objective),
            and `evaluations`, rows with name, before, after and unit; of several stages of
            training, `stage` in the one and `between`, a list, in the other.
        overwrite: replace a file that is there.

    Raises:
        OutputExistsError: `out` exists and `overwrite` is false.
        ConfigError: `out` is a folder, `extras` has other entries, or jinja2 is not installed.
        DatasetError: a dataset is incomplete or changed.
    """
    # Before the datasets are read, which takes much longer.
    _check_output(out, datasets, overwrite=overwrite)
    extras = extras or {}
    if unknown := sorted(set(extras) - {"metrics", "evaluations"}):
        raise ConfigError(f"extras has {', '.join(unknown)}, expected metrics and evaluations")
    with shown("report"):
        views = [_view(open_dataset(path), config.examples) for path in datasets]
    page = _render(
        title=config.title,
        datasets=views,
        chart=loss_chart(extras.get("metrics", [])),
        evaluations=evaluation_rows(extras.get("evaluations", [])),
    )
    # "replace": a lone surrogate in a manifest's path cannot be encoded, and a page with a "?" is
    # better than none.
    write_atomically(out, page.encode("utf-8", "replace"), overwrite=overwrite)


def _check_output(out: str, datasets: Sequence[str], *, overwrite: bool) -> None:
    if os.path.isdir(out):
        raise ConfigError(f"{out} is a folder, expected the name of an HTML file in it")
    if exists(out) and not overwrite:
        raise OutputExistsError(f"{out} exists already; give another name or --overwrite")
    # A page may stand in a dataset's folder; its manifest and shards are no pages.
    refuse_part_of(out, datasets, written_before=lambda start: b"<html" in start.lower())


def _view(dataset: Dataset, n_examples: int) -> DatasetView:
    manifest = dataset.manifest
    chosen = examples_of(dataset, n_examples)
    lexicon = dataset.kind.name == "lexicon"
    return DatasetView(
        name=dataset.path.rstrip("/").rsplit("/", 1)[-1],
        path=dataset.path,
        kind=dataset.kind.name,
        rows=manifest.rows,
        shards=len(manifest.shards),
        bytes=sum(shard.bytes for shard in manifest.shards),
        digest=manifest.digest,
        created=_minute(manifest.created),
        read=manifest.counts.read,
        kept=manifest.counts.kept,
        rules=reject_statistics(dataset),
        statistics=key_statistics(dataset),
        examples=chosen,
        words=lexicon_words(dataset, n_examples) if lexicon else [],
        langs=_changed_languages(chosen),
        private=any(PRIVATE_SCRIPT in text.lang for example in chosen for text in example.texts),
        made=_made(dataset),
    )


def _minute(created: str) -> str:
    """Returns an ISO time to the minute, in UTC; anything else as it is.

    >>> _minute("2026-11-20T10:57:11+00:00"), _minute("yesterday")
    ('2026-11-20 10:57 UTC', 'yesterday')
    """
    try:
        time = datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _changed_languages(examples: list[ShownRow]) -> list[str]:
    runs = [run for e in examples for text in e.texts for run in text.runs]
    return sorted({run.lang for run in runs if run.original is not None})


def _made(dataset: Dataset) -> str:
    manifest = dataset.manifest
    body = {"config": manifest.config, "inputs": manifest.inputs, "software": manifest.software}
    lines = json.dumps(body, ensure_ascii=False, indent=2).splitlines()
    more = [f"… {len(lines) - MADE_LINES} more lines in manifest.json"]
    kept = [sanitized(line) for line in lines[:MADE_LINES]]
    return "\n".join(kept + (more if len(lines) > MADE_LINES else []))


def _render(*, title: str, datasets: list[DatasetView], **context: Any) -> str:
    try:
        # Only here: jinja2 is an extra, and every other command works without it.
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError as error:
        raise ConfigError(
            "the report needs jinja2, which is not installed; pip install 'bitextile[report]'"
        ) from error
    environment = Environment(
        autoescape=True,
        # A misspelt name in the template fails instead of printing nothing.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_read),
    )
    # One language has one colour on the whole page, whatever datasets it is in.
    langs = sorted({lang for view in datasets for lang in _all_languages(view)})
    colours = {lang: _colour(n) for n, lang in enumerate(langs)}
    environment.globals["svg"] = _svg
    environment.filters |= _FILTERS | {"colour": lambda lang: colours.get(lang, "c0")}
    return environment.get_template("page.html.j2").render(
        title=title,
        datasets=datasets,
        css=_style(),
        hover_words=HOVER_WORDS,
        version=version("bitextile"),
        **context,
    )


def _all_languages(view: DatasetView) -> set[str]:
    changes = [key.changes.langs for key in view.statistics if key.changes]
    return {lang for langs in changes for lang in langs} | set(view.langs)


def _colour(number: int) -> str:
    again = " again" if number >= LANGUAGE_COLOURS else ""
    return f"c{number % LANGUAGE_COLOURS}{again}"


def _read(name: str) -> str:
    return (files("bitextile.pipelines.report") / name).read_text(encoding="utf-8")


def _style() -> Any:
    """Returns the style sheet, marked as ours: quotes in it are not to be escaped."""
    from markupsafe import Markup

    return Markup(_read("page.css"))


def _megabytes(size: int) -> str:
    unit, name = (1e9, "GB") if size >= 1e9 else (1e6, "MB") if size >= 1e6 else (1e3, "kB")
    return f"{size / unit:,.1f} {name}"


def _percent(share: float, digits: int = 1) -> str:
    """Returns a share in percent, never rounded to all or nothing when it is neither.

    >>> _percent(0.99996), _percent(1.0), _percent(0.00001), _percent(0.0), _percent(0.876, 0)
    ('> 99.9 %', '100 %', '< 0.1 %', '0 %', '88 %')
    """
    step = 10.0**-digits
    if 0 < share * 100 < step / 2:
        return f"< {step:.{digits}f} %"
    if 100 - step / 2 <= share * 100 < 100:
        return f"> {100 - step:.{digits}f} %"
    return f"{share * 100:.{0 if share in (0, 1) else digits}f} %"


def _svg(drawing: Drawing, src_lang: str, tgt_lang: str) -> Any:
    """Returns a drawing's SVG, marked as escaped already."""
    from markupsafe import Markup

    return Markup(svg(drawing, src_lang=src_lang, tgt_lang=tgt_lang))


_FILTERS = {
    "sanitized": sanitized,
    "direction": direction,
    "grouped": "{:,}".format,
    "percent": _percent,
    "megabytes": _megabytes,
    "short": lambda digest: digest.removeprefix("sha256:")[:12],
}
