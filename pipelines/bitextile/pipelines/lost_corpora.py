"""Corpora of which `ingest` kept nothing: what became of their rows, and what the reason may be."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from bitextile.kernels.readers.source import CorpusSource
from bitextile.schema.dataset import BATCH_ROWS, Dataset
from bitextile.schema.errors import InputError
from bitextile.schema.ids import language_key
from bitextile.schema.kinds import REJECTS
from bitextile.schema.shards import read_shard

_KEPT_ELSEWHERE = ("duplicate", "held_out")
"""Rules that drop a row because its like is kept in this corpus or another one."""
_HINTS = {
    "missing_columns": "check its `languages`, `format`, `columns` and `header`",
    "extra_columns": "check its `format`, and whether its cells are `quoted`",
    "invalid_quotes": "check its `format`, and whether its cells are `quoted`",
    "invalid_json": "check its `format`",
    "invalid_xml": "check its `format`",
    "invalid_utf8": "name its `encoding`",
    "invalid_encoding": "name another `encoding`",
    "nul_bytes": "name its `encoding`",
    "line_bytes": "check that a line is a sentence",
    "long_line": "check that a line is a sentence, or raise `max_chars` in `filters`",
    "long_word": "check that its files are text, or raise `max_word_chars` in `filters`",
    "too_long": "check that a line is a sentence, or raise `max_words` in `filters`",
    "length_ratio": "check that its sides translate each other and have the right `languages`",
    "identical": "check that its `columns` or files are not one and the same text",
    "empty": "check its `columns`",
}
_COLUMNS = ["rule", "detail", "corpus", "file", "line", "src_lang", "tgt_lang", "src"]
_SHOWN_CHARS = 80
_SHOWN_REASONS = 3
_MAX_REASONS = 1_000

Entry = tuple[str, str]
"""A corpus, and the key of its language pair or language."""


@dataclass
class _Loss:
    """Rows of an entry by rule; of each rule its first row, and what it got how often."""

    rules: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[str, int]] = field(default_factory=dict)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, rule: str, place: tuple[str, int], reason: str) -> None:
        """Counts a row."""
        self.rules[rule] += 1
        self.first[rule] = min(place, self.first.get(rule, place))
        reasons = self.reasons.setdefault(rule, Counter())
        if reason in reasons or len(reasons) < _MAX_REASONS:
            reasons[reason] += 1


def refuse_lost_corpora(dataset: Dataset, sources: Iterable[CorpusSource]) -> None:
    """Checks that something was kept of each corpus of which something was read.

    Rows that were dropped because their like is kept elsewhere are not lost.

    Args:
        dataset: that was made of the sources.
        sources: corpora by languages.

    Raises:
        InputError: of a corpus all rows were rejected; the sentence says by which rules.
    """
    kept = {(name, key) for key, held in dataset.manifest.keys.items() for name in held["corpus"]}
    entries = dict.fromkeys((source.corpus, language_key(source.languages)) for source in sources)
    losses = _losses(dataset, [entry for entry in entries if entry not in kept])
    if not losses:
        return
    (corpus, key), loss = next(iter(losses.items()))
    more = f" (and of {len(losses) - 1} more corpora)" if len(losses) > 1 else ""
    counts = ", ".join(f"{n:,} {rule}" for rule, n in loss.rules.most_common())
    ((rule, _),) = loss.rules.most_common(1)
    file, line = loss.first[rule]
    got = "; ".join(reason for reason, _ in loss.reasons[rule].most_common(_SHOWN_REASONS))
    hint = _HINTS.get(rule.split("/")[0], "look at the rejects")
    raise InputError(
        f"corpus {corpus}: none of its {loss.rules.total():,} rows in {key} was kept{more}: "
        f"{counts}, from {file} line {line} on: {got}; {hint}; "
        f"the rejects are in {dataset.path}/rejects"
    )


def _losses(dataset: Dataset, entries: list[Entry]) -> dict[Entry, _Loss]:
    """Returns the losses of those entries of which rows were read, in the order of `entries`."""
    losses = {entry: _Loss() for entry in entries}
    if not losses:
        return {}
    for shard in dataset.manifest.rejects:
        for batch in read_shard(
            dataset.path, shard, REJECTS, columns=_COLUMNS, batch_rows=BATCH_ROWS
        ):
            rows = zip(*(batch.column(name).to_pylist() for name in _COLUMNS))
            for rule, detail, corpus, file, line, src_lang, tgt_lang, src in rows:
                key = language_key(filter(None, (src_lang, tgt_lang)))
                if (loss := losses.get((corpus, key))) is not None:
                    loss.add(rule, (file, line), detail or repr(src[:_SHOWN_CHARS]))
    return {
        entry: loss
        for entry, loss in losses.items()
        if loss.rules and not any(rule.split("/")[0] in _KEPT_ELSEWHERE for rule in loss.rules)
    }
