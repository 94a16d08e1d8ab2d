"""Corpora whose sides do not belong together: shuffled, shifted by a line, or exchanged."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.align.belonging import (
    MIN_PAIRS,
    SAMPLE_PAIRS,
    agreement,
    differences,
    is_judged,
    least_agreement,
    linked_share,
)
from bitextile.kernels.align.engine import Runtime
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.arrays import F64
from bitextile.kernels.text.scripts import scripts_of_language, scripts_of_letters
from bitextile.kernels.text.segment import cut_words
from bitextile.schema.config_problems import listed
from bitextile.schema.dataset import Dataset

_COLUMNS = ["pair_id", "src_lang", "tgt_lang", "src", "tgt", "src_spans", "tgt_spans"]
_COLUMNS += ["corpus", "file", "line"]
_MAX_READ = 200_000
"""Rows that are read of a language pair, at most, to find enough of each corpus."""
_BLOCKS = 8
_MIN_BLOCK = 100
_CLEAR_SHARE = 0.2
"""Of letters in the wrong script; Chinese has Latin names, and Japanese mostly Chinese letters."""
_NAMES = {"Han": "CJK"}
"""Names of scripts that letters call otherwise."""
_ORDER = "check the order of `languages`"
_ADVICE = "check that its files belong together, line by line"


def unmatched_corpora(dataset: Dataset) -> list[str]:
    """Returns a sentence for each corpus whose sides seem not to translate each other.

    It is judged on a sample, by an HMM whatever aligned the dataset; exchanged sides are seen by
    their scripts, or by other corpora of the language pair.

    Args:
        dataset: of kind aligned.
    """
    found = []
    for key in dataset.keys:
        samples = _samples(dataset, key)
        told = {
            name: _exchanged_by_script(rows) or _unmatched(rows) for name, rows in samples.items()
        }
        # What agrees within itself can still be the other way round than the others.
        told |= _exchanged({name: rows for name, rows in samples.items() if not told[name]})
        found += [f"corpus {name} ({key}): {said}" for name, said in told.items() if said]
    return found


def _samples(dataset: Dataset, key: str) -> dict[str, pa.Table]:
    """Returns rows of each corpus, drawn by id."""
    wanted = dataset.manifest.keys[key].get("corpus", {})
    parts: dict[str, list[pa.RecordBatch]] = {name: [] for name in sorted(wanted)}
    counts, read = dict.fromkeys(parts, 0), 0
    # Rows are hashed to shards by id and sorted by it, so the first ones are a random sample.
    for batch in dataset.batches(key=key, columns=_COLUMNS):
        read += batch.num_rows
        for name in parts:
            if counts[name] < SAMPLE_PAIRS:
                rows = batch.filter(pc.equal(batch.column("corpus"), name))
                rows = rows.slice(0, SAMPLE_PAIRS - counts[name])
                parts[name].append(rows)
                counts[name] += rows.num_rows
        enough = all(counts[name] >= min(SAMPLE_PAIRS, wanted[name]) for name in parts)
        if enough or read >= _MAX_READ:
            break
    tables = {name: pa.Table.from_batches(some) for name, some in parts.items() if some}
    # Of a corpus in both directions the one that comes first.
    one_way = {
        n: t.filter(pc.equal(t["src_lang"], t["src_lang"][0])) for n, t in tables.items() if len(t)
    }
    return {name: table.combine_chunks() for name, table in one_way.items()}


def _words(rows: pa.Table) -> tuple[pa.ListArray, pa.ListArray]:
    src, tgt = (cut_words(_one(rows, side), _one(rows, f"{side}_spans")) for side in ("src", "tgt"))
    return src, tgt


def _one(rows: pa.Table, name: str) -> pa.Array:
    return pa.concat_arrays(rows.column(name).chunks)


def _unmatched(rows: pa.Table) -> str:
    first, second = _words(rows)
    if not is_judged(first, second):
        return ""
    found = differences(first, second)
    if _too_low(found):
        return (
            f"its sides seem not to translate each other (agreement {agreement(found):.2f}, of "
            f"sides that do at least {least_agreement(len(found))}); {_ADVICE}"
        )
    for block, file, begin, end in _blocks(rows):
        if _too_low(found[block]):
            return (
                f"from line {begin:,} to {end:,} of {file} the sides seem not to translate each "
                f"other (agreement {agreement(found[block]):.2f}, elsewhere "
                f"{agreement(np.delete(found, block)):.2f}); look for a line too many before"
            )
    return ""


def _too_low(found: F64) -> bool:
    value = agreement(found)
    return value is not None and value < least_agreement(len(found))


def _blocks(rows: pa.Table) -> Iterator[tuple[np.ndarray, str, int, int]]:
    """Yields stretches of a file: where its rows are, its name, and the lines between."""
    lines = _one(rows, "line").to_numpy()
    files = np.asarray(rows.column("file").to_pylist())
    for file in sorted(set(files)):
        at = np.flatnonzero(files == file)
        at = at[np.argsort(lines[at], kind="stable")]
        n_blocks = min(_BLOCKS, len(at) // _MIN_BLOCK)
        for block in np.array_split(at, n_blocks) if n_blocks > 1 else []:
            yield block, file, int(lines[block[0]]), int(lines[block[-1]])


def _exchanged_by_script(rows: pa.Table) -> str:
    """Returns a sentence where each side is written in the script of the other one's language."""
    tags = _tags(rows)
    usual = [{_NAMES.get(s, s.upper()) for s in scripts_of_language(tag)} for tag in tags]
    if rows.num_rows < MIN_PAIRS or usual[0] == usual[1]:
        return ""
    own = usual[0] - usual[1], usual[1] - usual[0]
    letters = [_letters(rows.column(side)) for side in ("src", "tgt")]
    right = _share(letters[0], own[0]) + _share(letters[1], own[1])
    exchanged = _share(letters[0], own[1]) + _share(letters[1], own[0])
    if exchanged - right <= _CLEAR_SHARE:
        return ""
    return f"its sides seem to be exchanged, {tags[0]} for {tags[1]}; {_ORDER}"


def _letters(texts: pa.ChunkedArray) -> Counter[str]:
    return Counter(script for text in texts.to_pylist() for script in scripts_of_letters(text))


def _share(letters: Counter[str], scripts: set[str]) -> float:
    return sum(letters[script] for script in scripts) / max(letters.total(), 1)


def _tags(rows: pa.Table) -> tuple[str, str]:
    return rows.column("src_lang")[0].as_py(), rows.column("tgt_lang")[0].as_py()


def _exchanged(samples: dict[str, pa.Table]) -> dict[str, str]:
    """Returns a sentence for each corpus that is the other way round than most of the others."""
    judged = {name: rows for name, rows in samples.items() if is_judged(*_words(rows))}
    if len(judged) < 2:
        return {}
    # Translations are learned from the largest; which of the two ways is right, the most say.
    first = max(judged, key=lambda name: judged[name].num_rows)
    same, opposite = [first], list[str]()
    config, tags = HmmConfig(), _tags(judged[first])
    aligner = config.aligner_class().fit(
        *_words(judged[first]), config=config, runtime=Runtime(n_threads=1)
    )
    for name, rows in judged.items():
        if name == first:
            continue
        src, tgt = _words(rows) if _tags(rows) == tags else reversed(_words(rows))
        value = agreement(linked_share(aligner, src, tgt) - linked_share(aligner, tgt, src))
        if value is not None and abs(value) >= least_agreement(rows.num_rows):
            (same if value > 0 else opposite).append(name)
    if len(same) == len(opposite):
        return {
            name: f"its sides seem to be exchanged, or those of {listed(others)}; {_ORDER}"
            for some, others in ((same, opposite), (opposite, same))
            for name in some
        }
    few, many = sorted((same, opposite), key=len)
    told = f"its sides seem to be exchanged, as {listed(many, 'and')} show; {_ORDER}"
    return dict.fromkeys(few, told)
