"""A record batch between workers: Arrow IPC with LZ4, registered for `pa.RecordBatch`.

Pickling a slice ships its whole parent buffer; IPC writes the slice. LZ4 takes what a local runner
holds from 765 to 596 bytes a pair at the same speed (tests/benchmarks/beam_throughput.py).
"""

import pyarrow as pa
from apache_beam.coders import Coder, registry

# Workers are processes, one for each core, so threads of Arrow would only compete with them.
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READ_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)


class RecordBatchCoder(Coder):
    """Encodes a record batch, with its schema, as an Arrow IPC stream."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        """Returns the batch as bytes; of a slice only the slice."""
        sink = pa.BufferOutputStream()
        # The schema travels with each batch, so a reader need not know which step wrote it.
        with pa.ipc.new_stream(sink, value.schema, options=_OPTIONS) as writer:
            writer.write_batch(value)
        return sink.getvalue().to_pybytes()

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """Returns the batch that `encode` was given."""
        with pa.ipc.open_stream(encoded, options=_READ_OPTIONS) as reader:
            return reader.read_next_batch()

    def estimate_size(self, value: pa.RecordBatch) -> int:
        """Returns the size before compression; Beam would encode the batch once more to know it."""
        return value.nbytes

    def is_deterministic(self) -> bool:
        """Batches are never keys."""
        return False

    def to_type_hint(self) -> type:
        """Returns the type the coder is registered for."""
        return pa.RecordBatch


# Beam looks coders up by type hint when a pipeline is built, so whoever builds one must have
# imported this module: `batches` does.
registry.register_coder(pa.RecordBatch, RecordBatchCoder)
