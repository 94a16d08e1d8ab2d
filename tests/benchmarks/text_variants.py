"""Exchange, switching and link counts in the kernel: pairs per second on one core.

    OMP_NUM_THREADS=1 python tests/benchmarks/text_variants.py [--pairs 29000] [--runs 5]

Text is multi30k en-de (../shared) where there, else sentences of the same length made up here.
Links run along the diagonal, word i to word i, about as many as an aligner gives. Best of the
runs, in CPU seconds of this process with Arrow held to one thread.
"""

import argparse
import gzip
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import regex

from bitextile.kernels.codeswitch import CodeswitchConfig, switch_by_alignment
from bitextile.kernels.exchange import ExchangeConfig, exchange
from bitextile.kernels.lexicon import count_links
from bitextile.schema.dataset import BATCH_ROWS
from bitextile.schema.ids import digest_of
from bitextile.schema.kinds import ALIGNED

MULTI30K = Path(__file__).parents[3] / "shared/data/parallel/multi30k"
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
            {"pair_id": digest_of(str(line)), "src_lang": "en", "tgt_lang": "de"}
            | {"src": src, "tgt": tgt, "corpus": "multi30k", "file": "train", "line": line}
            | {"split": "train", "src_spans": a, "tgt_spans": b, "links": links}
            | {"align_score": -0.1}
        )
    return pa.Table.from_pylist(rows, schema=ALIGNED.schema).to_batches(BATCH_ROWS)


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
    print(f"{name:48} {n_pairs / min(seconds):>10,.0f} pairs/s per core")


def main() -> None:
    """Measures each kernel with its default options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=29_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    batches = aligned(options.pairs)
    groups, both = ExchangeConfig(one_to_one=False), CodeswitchConfig()
    one = CodeswitchConfig(sides="src")
    for name, kernel in (
        ("exchange, one-to-one", lambda b: exchange(b, config=ExchangeConfig())),
        ("exchange, groups", lambda b: exchange(b, config=groups)),
        ("codeswitch, one side (1 sentence a pair)", lambda b: switch_by_alignment(b, config=one)),
        (
            "codeswitch, both sides (2 sentences a pair)",
            lambda b: switch_by_alignment(b, config=both),
        ),
        ("lexicon, count_links", count_links),
    ):
        measure(name, kernel, batches=batches, runs=options.runs)


if __name__ == "__main__":
    main()
