"""Record batches through Beam: pairs/s and extra memory of read, identity kernel, sharded write.

    python tests/benchmarks/beam_throughput.py [--pairs 1000000] [--runs 3]

Each measurement is a process of its own. Extra memory is the peak over the process and its workers,
less the same peak for one batch, so that interpreters and libraries do not count.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from hashlib import blake2b

import numpy as np
import psutil
import pyarrow as pa

from bitextile.schema.dataset import BATCH_ROWS, open_dataset
from bitextile.schema.kinds import PAIRS

N_SHARDS = 8


def short_pairs(index: int, rows: int = BATCH_ROWS) -> pa.RecordBatch:
    """Returns pairs of some 35 characters a side, as Tatoeba's are."""
    ids = [blake2b(f"{index} {n}".encode(), digest_size=16).hexdigest() for n in range(rows)]
    src = [f"This is short sentence {n * 7919 % 100_003} of {index}." for n in range(rows)]
    tgt = [f"Dies ist der kurze Satz {n * 7919 % 100_003} von {index}." for n in range(rows)]
    columns = [
        *(pa.array(ids), pa.repeat("en", rows), pa.repeat("de", rows), pa.array(src)),
        *(pa.array(tgt), pa.repeat("bench", rows), pa.repeat("bench.tsv", rows)),
        *(pa.array(np.arange(rows) + index * rows), pa.repeat("train", rows)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=PAIRS.schema)


def identity(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the batch."""
    return batch


def make(path: str, pairs: int) -> None:
    """Writes the dataset to read."""
    import apache_beam as beam

    from bitextile.pipelines.runner.job import Output, run_pipeline
    from bitextile.pipelines.runner.options import RunOptions
    from bitextile.transforms.batches import TrackedRows
    from bitextile.transforms.write import WriteDataset

    batches = max(1, pairs // BATCH_ROWS)

    def build(root: beam.Pipeline, places: dict[str, str]) -> None:
        numbers = root | beam.Create(range(batches))
        rows = numbers | beam.Map(short_pairs).with_output_types(pa.RecordBatch)
        read = root | "Read" >> beam.Create([batches * BATCH_ROWS])
        TrackedRows(rows, (), read) | WriteDataset(places[path], PAIRS)

    run_pipeline(build, [Output(path=path, config={}, inputs=())], RunOptions(workers=1))


def measure(path: str, out: str, workers: int) -> None:
    """Copies the dataset through Beam and prints seconds, peak bytes and digest as JSON."""
    import apache_beam as beam

    from bitextile.pipelines.runner.job import Output, run_pipeline
    from bitextile.pipelines.runner.options import RunOptions
    from bitextile.transforms.batches import MapBatches
    from bitextile.transforms.read import ReadDataset
    from bitextile.transforms.write import WriteDataset

    source = open_dataset(path, PAIRS)
    # Room for the spread of a hash over the shards.
    shard_rows = max(1_000, int(source.manifest.rows / N_SHARDS * 1.05))

    def build(root: beam.Pipeline, places: dict[str, str]) -> None:
        write = WriteDataset(places[out], PAIRS, max_shard_rows=shard_rows)
        root | ReadDataset(source) | MapBatches(identity, "Identity") | write

    peak = Peak()
    started = time.monotonic()
    output = Output(path=out, config={}, inputs=())
    (done,) = run_pipeline(build, [output], RunOptions(workers=workers))
    seconds = time.monotonic() - started
    manifest = done.dataset.manifest
    result = {"seconds": seconds, "peak": peak.stop(), "rows": manifest.rows}
    print(json.dumps(result | {"shards": len(manifest.shards), "digest": manifest.digest}))


class Peak:
    """Samples the memory of this process and its children, 50 times a second."""

    def __init__(self) -> None:
        self.bytes = 0
        self.running = True
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()

    def sample(self) -> None:
        """Keeps the largest sum seen."""
        me = psutil.Process()
        while self.running:
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.bytes = max(self.bytes, total)
            time.sleep(0.02)

    def stop(self) -> int:
        """Returns the peak in bytes."""
        self.running = False
        self.thread.join()
        return self.bytes


def in_process(*arguments: str) -> dict:
    """Runs one step of this script in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}


def main() -> None:
    """Measures one and two workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--step", choices=("make", "measure"))
    parser.add_argument("--path")
    parser.add_argument("--out")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    if given.step == "make":
        return make(given.path, given.pairs)
    if given.step == "measure":
        return measure(given.path, given.out, given.workers)
    folder = tempfile.mkdtemp()
    try:
        table(folder, given.pairs, given.runs)
    finally:
        shutil.rmtree(folder)


def table(folder: str, pairs: int, runs: int) -> None:
    """Prints a row for each number of workers."""
    large, tiny, out = (os.path.join(folder, name) for name in ("large", "tiny", "out"))
    in_process("--step=make", f"--path={large}", f"--pairs={pairs}")
    in_process("--step=make", f"--path={tiny}", "--pairs=1")
    print(f"{'workers':>8}{'pairs/s':>12}{'extra bytes/pair':>18}{'shards':>8}  digest")
    for workers in (1, 2):
        found = []
        for path in (tiny, *[large] * runs):
            shutil.rmtree(out, ignore_errors=True)
            found.append(
                in_process(
                    "--step=measure", f"--path={path}", f"--out={out}", f"--workers={workers}"
                )
            )
        fixed, *real = found
        speed = statistics.median(run["rows"] / run["seconds"] for run in real)
        extra = statistics.median((run["peak"] - fixed["peak"]) / run["rows"] for run in real)
        last = real[-1]
        digest = last["digest"][:19]
        print(f"{workers:>8}{speed:>12,.0f}{extra:>18,.0f}{last['shards']:>8}  {digest}")


if __name__ == "__main__":
    main()
