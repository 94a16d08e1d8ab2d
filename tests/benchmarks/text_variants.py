"""Exchange, switching, link counts and derived languages: rows per second.

    OMP_NUM_THREADS=1 python tests/benchmarks/text_variants.py [--pairs 29000] [--runs 5]
    python tests/benchmarks/text_variants.py --dataset ALIGNED [--workers 1] [--check]

Text is multi30k en-de (../shared) where there, else sentences of the same length made up here.
Links run along the diagonal, word i to word i, about as many as an aligner gives. Best of the
runs, in CPU seconds of this process with Arrow held to one thread. Dictionary switching has a
dictionary of 100,000 entries: the words of the text, and made-up ones that are never found.

With --dataset the commands run as pipelines on an aligned dataset that has a side in English in all
keys, start and end included, once: in wall time, and per second of CPU time of all processes. With
--check each result is verified (every span and link of every shard in bounds, every byte) and
made again by two workers and from batches of 1,000 rows, and the digests are compared.
"""

import argparse
import gzip
import itertools
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import regex

from bitextile.kernels.bitext.dictionary.source import ENTRIES, Dictionary, DictionarySource
from bitextile.kernels.bitext.lexicon import LexiconConfig, count_links
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.rows import derive_rows
from bitextile.kernels.exchange import ExchangeConfig, exchange
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig, switch_by_alignment
from bitextile.kernels.switch.dictionary import (
    DictionarySwitchConfig,
    Index,
    index_of,
    switch_by_dictionary,
)
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig, switch_multilingual
from bitextile.kernels.text.truecase import casing_of
from bitextile.schema.dataset import BATCH_ROWS, Dataset, open_dataset, verify_dataset
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import ALIGNED, CODESWITCH, EXCHANGE, LEXICON, MONO, Kind

SHARED = Path(__file__).parents[3] / "shared/data"
MULTI30K = SHARED / "parallel/multi30k"
MUSE = SHARED / "dictionaries/muse/en-de.cosda-de2.txt.gz"
Command = Callable[..., Any]
Transform = Any
WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+|[^\w\s]")


def sentences(lang: str) -> Iterable[str]:
    """Yields the training sentences of multi30k, or made-up ones of about its 12 words."""
    files = sorted(MULTI30K.glob(f"train*.{lang}.gz"))
    if not files:
        for i in itertools.count():
            yield " ".join(f"{lang}{i * 31 % 997}w{k * 7}" for k in range(12)) + "."
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from (line.strip() for line in lines)


def aligned(pairs: int) -> list[pa.RecordBatch]:
    """Returns pairs with diagonal links, in batches as a pipeline makes them."""
    rows = []
    both = zip(sentences("en"), sentences("de"))
    for line, (src, tgt) in enumerate(itertools.islice(both, pairs), 1):
        spans = [[m.span() for m in WORD.finditer(text)] for text in (src, tgt)]
        a, b = ([{"start": s, "end": e} for s, e in side] for side in spans)
        links = [{"src": i, "tgt": i, "score": 0.9} for i in range(min(map(len, spans)))]
        rows.append(
            {"pair_id": stable_id(str(line)), "src_lang": "en", "tgt_lang": "de"}
            | {"src": src, "tgt": tgt, "corpus": "multi30k", "file": "train", "line": line}
            | {"split": "train", "src_spans": a, "tgt_spans": b, "links": links}
            | {"align_score": -0.1}
        )
    return pa.Table.from_pylist(rows, schema=ALIGNED.schema).to_batches(BATCH_ROWS)


def monolingual(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Returns the source sentences as rows of kind mono."""
    names = ("pair_id", "src_lang", "src", "corpus", "file", "line", "split")
    return [
        pa.RecordBatch.from_arrays([batch[name] for name in names], schema=MONO.schema)
        for batch in batches
    ]


def dictionary(batches: list[pa.RecordBatch], size: int = 100_000) -> dict[str, Index]:
    """Returns an index of `size` entries that knows every word of the sentences."""
    text = " ".join(t for batch in batches for t in batch["src"].to_pylist())
    words = sorted(set(WORD.findall(text)))[: size // 2]
    words += [f"unheard{n}" for n in range(size - len(words))]
    rows = [{"src": w, "tgt": f"{w[::-1]}o", "p": 1.0, "pos": None, "count": None} for w in words]
    source = DictionarySource(path="made-up", src_lang="en", tgt_lang="de")
    entries = pa.Table.from_pylist(rows, schema=ENTRIES)
    return index_of([Dictionary(source=source, entries=entries)])


def pipelines(path: str) -> dict[str, tuple[Command, Kind, Transform]]:
    """Returns the commands on a dataset: as a function of (out, options), and as a transform."""
    from bitextile.pipelines import codeswitch as switching
    from bitextile.pipelines.derive import derive
    from bitextile.pipelines.exchange import _first_batches
    from bitextile.pipelines.exchange import exchange as exchange_command
    from bitextile.pipelines.lexicon import lexicon
    from bitextile.transforms import variants
    from bitextile.transforms.derive import DeriveAligned
    from bitextile.transforms.lexicon import CountLexicon

    dataset = open_dataset(path)
    plain, recased = ExchangeConfig(), ExchangeConfig(recase=True)
    one, both = AlignmentSwitchConfig(sides="src"), AlignmentSwitchConfig()
    mixed, by_word = MultilingualSwitchConfig(), DictionarySwitchConfig()
    inverted, counted = DeriveConfig(transforms=("invert",)), LexiconConfig()
    source = DictionarySource(path=str(MUSE), src_lang="en", tgt_lang="de", columns="src,tgt")
    found: dict[str, tuple[Command, Kind, Transform]] = {
        "exchange": (
            partial(exchange_command, path, config=plain),
            EXCHANGE,
            variants.ExchangeWords(plain),
        ),
        "exchange, recase": (
            partial(exchange_command, path, config=recased),
            EXCHANGE,
            variants.ExchangeWords(recased, casing_of(_first_batches(dataset))),
        ),
        "codeswitch, src": (
            partial(switching.codeswitch, path, config=one),
            CODESWITCH,
            variants.SwitchByAlignment(one),
        ),
        "codeswitch, both": (
            partial(switching.codeswitch, path, config=both),
            CODESWITCH,
            variants.SwitchByAlignment(both),
        ),
        "codeswitch, pivot": (
            partial(switching.codeswitch_multilingual, path, config=mixed),
            CODESWITCH,
            variants.SwitchMultilingual(mixed),
        ),
        "lexicon": (partial(lexicon, path, config=counted), LEXICON, CountLexicon(counted)),
        "derive, invert": (
            partial(derive, path, config=inverted),
            ALIGNED,
            DeriveAligned(inverted),
        ),
    }
    if MUSE.exists():
        found["codeswitch, MUSE"] = (
            partial(
                switching.codeswitch_by_dictionary, path, dictionaries=[source], config=by_word
            ),
            CODESWITCH,
            variants.SwitchByDictionary((source,), by_word, 2),
        )
    return found


def measure_pipelines(path: str, workers: int, *, check: bool) -> None:
    """Prints the times of each command on a whole dataset, and what `check` finds."""
    from bitextile.pipelines.runner.options import RunOptions

    dataset = open_dataset(path)
    for name, (command, kind, transform) in pipelines(path).items():
        with tempfile.TemporaryDirectory() as out:
            before = cpu_seconds()
            done = command(f"{out}/made", options=RunOptions(workers=workers))
            spent, read = cpu_seconds() - before, done.dataset.manifest.counts.read
            print(
                f"{name:20} {read:>9,} rows in {done.seconds:6.1f} s {read / done.seconds:>9,.0f}"
                f" rows/s {read / spent:>9,.0f} rows/s of CPU time",
                flush=True,
            )
            if not check:
                continue
            digest = verify_dataset(f"{out}/made").manifest.digest
            two = command(f"{out}/two", options=RunOptions(workers=2)).dataset.manifest.digest
            rebatched(dataset, transform, kind, f"{out}/small")
            small = open_dataset(f"{out}/small").manifest.digest
            print(f"{'':20} all in bounds, {digest[:19]}, two workers and small batches:", end=" ")
            print("the same" if digest == two == small else f"OTHERS: {two[:19]} {small[:19]}")


def cpu_seconds() -> float:
    """Returns the CPU time of this process and of its children that have ended."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(whose)[:2]) for whose in who)


def rebatched(dataset: Dataset, transform: Transform, kind: Kind, out: str) -> None:
    """Runs a transform over a dataset in batches of 1,000 rows."""
    from apache_beam import Pipeline
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    from bitextile.transforms.read import ReadDataset
    from bitextile.transforms.write import WriteDataset

    with Pipeline(runner=FnApiRunner()) as root:
        rows = root | "Read" >> ReadDataset(dataset, batch_rows=1_000)
        _ = rows | transform | "Write" >> WriteDataset(out, kind)


def measure(
    name: str,
    kernel: Callable[[pa.RecordBatch], object],
    *,
    batches: list[pa.RecordBatch],
    runs: int,
) -> None:
    """Prints the best rate of a kernel over all batches."""
    n_pairs, seconds = sum(batch.num_rows for batch in batches), []
    kernel(batches[0])
    for _ in range(runs):
        started = time.process_time()
        for batch in batches:
            kernel(batch)
        seconds.append(time.process_time() - started)
    print(f"{name:48} {n_pairs / min(seconds):>10,.0f} rows/s per core")


def main() -> None:
    """Measures each kernel with its default options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=29_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dataset", help="measure pipelines on this aligned dataset instead")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="verify, and compare digests")
    options = parser.parse_args()
    if options.dataset:
        measure_pipelines(options.dataset, options.workers, check=options.check)
        return
    pa.set_cpu_count(1)
    batches = aligned(options.pairs)
    groups, both = ExchangeConfig(many_to_many=True), AlignmentSwitchConfig()
    one, mixed = AlignmentSwitchConfig(sides="src"), MultilingualSwitchConfig()
    by_word, index = DictionarySwitchConfig(sides="src"), dictionary(batches)
    recased, casing = ExchangeConfig(recase=True), casing_of(batches)
    inverted = DeriveConfig(transforms=("invert",))
    for name, kernel in (
        ("exchange, one-to-one", lambda b: exchange(b, config=ExchangeConfig())),
        ("exchange, one-to-one, recase", lambda b: exchange(b, config=recased, casing=casing)),
        ("exchange, groups", lambda b: exchange(b, config=groups)),
        ("codeswitch, one side (1 sentence a pair)", lambda b: switch_by_alignment(b, config=one)),
        (
            "codeswitch, both sides (2 sentences a pair)",
            lambda b: switch_by_alignment(b, config=both),
        ),
        (
            "codeswitch, dictionary, words known (aligned)",
            lambda b: switch_by_dictionary(b, index=index, config=by_word),
        ),
        ("codeswitch, several languages", lambda b: switch_multilingual(b, config=mixed)),
        ("lexicon, count_links", count_links),
    ):
        measure(name, kernel, batches=batches, runs=options.runs)
    for name, kernel in (
        (
            "codeswitch, dictionary, words segmented (mono)",
            lambda b: switch_by_dictionary(b, index=index, config=by_word),
        ),
        ("derive, transliterate", lambda b: derive_rows(b, config=DeriveConfig())),
        ("derive, invert", lambda b: derive_rows(b, config=inverted)),
    ):
        measure(name, kernel, batches=monolingual(batches), runs=options.runs)


if __name__ == "__main__":
    main()
