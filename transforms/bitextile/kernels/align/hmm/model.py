"""A fitted model: vocabularies, translation table, null and jump distributions; its files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from os import PathLike, fspath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.cooccurrence import TranslationTable
from bitextile.kernels.align.hmm.word_classes import prefixes
from bitextile.kernels.arrays import F32, F64, offsets_of
from bitextile.schema.errors import ConfigError, DatasetError
from bitextile.schema.json_file import read_json
from bitextile.schema.storage import arrow_file, filesystem, write_atomically

FORMAT = "bitextile-aligner/1"
_FILES = ("src_words", "tgt_words", "table")


@dataclass(frozen=True, kw_only=True)
class HmmModel:
    """What `fit` learned; read by `align_pairs`, never changed.

    Attributes:
        config: how it was fitted.
        src_words: string [source words], lower case, most frequent first; a word's index is its id.
        tgt_words: string [target words], likewise.
        table: translation probabilities of both directions.
        null_src: float32 [source words], p(word | null).
        null_tgt: float32 [target words], p(word | null).
        jumps_to_tgt: float64 [2 * window + 1], weight of each jump among source words.
        jumps_to_src: float64 [2 * window + 1], weight of each jump among target words.
        statistics: counts of the sample and the log likelihoods; nothing volatile.
    """

    config: HmmModelConfig
    src_words: pa.StringArray
    tgt_words: pa.StringArray
    table: TranslationTable
    null_src: F32
    null_tgt: F32
    jumps_to_tgt: F64
    jumps_to_src: F64
    statistics: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def src_prefixes(self) -> pa.StringArray:
        """First characters of each source word, by which unseen words are looked up."""
        return prefixes(self.src_words, self.config)

    @cached_property
    def tgt_prefixes(self) -> pa.StringArray:
        """First characters of each target word."""
        return prefixes(self.tgt_words, self.config)

    @cached_property
    def digest(self) -> str:
        """A sha256 over all content: equal models have equal digests, on any machine."""
        # Over the content and not over the files: how Arrow pads and frames a table may change with
        # its version, the words and numbers do not.
        total = sha256(_canonical(self._header()))
        for name, table in self._tables().items():
            total.update(_canonical([name, table.schema.to_string(), table.num_rows]))
            for column in table.columns:
                total.update(_column_bytes(column.combine_chunks()))
        return f"sha256:{total.hexdigest()}"

    def save(self, folder: str | PathLike[str]) -> str:
        """Writes the model to a folder and returns its digest; the same model, the same bytes.

        `model.json` is written last, so that a folder with one is complete.

        Args:
            folder: made if need be; a local path or a URI that pyarrow knows.
        """
        files = {}
        for name, table in self._tables().items():
            content = arrow_file(table)
            write_atomically(f"{fspath(folder)}/{name}.arrow", content)
            files[name] = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
        head = {**self._header(), "digest": self.digest, "files": files}
        text = json.dumps(head, indent=1, sort_keys=True, ensure_ascii=False)
        write_atomically(f"{fspath(folder)}/model.json", text.encode())
        return self.digest

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> "HmmModel":
        """Reads a model that `save` wrote.

        Raises:
            DatasetError: a file is missing or not as it was written, or of another format.
        """
        head = _read_head(fspath(folder))
        src, tgt, table = (_read_table(fspath(folder), name, head["files"]) for name in _FILES)
        try:
            model = cls(
                config=HmmModelConfig.from_json(head["config"]),
                src_words=src["word"].combine_chunks(),
                tgt_words=tgt["word"].combine_chunks(),
                table=TranslationTable(
                    offsets_of(src["entries"].to_numpy()),
                    # Copied: Arrow's memory is read-only, a type of its own to numba, for which
                    # every function would be compiled once more.
                    *(np.array(table[c]) for c in ("tgt", "p_tgt", "p_src")),
                ),
                null_src=np.array(src["null"]),
                null_tgt=np.array(tgt["null"]),
                jumps_to_tgt=np.array(head["jumps_to_tgt"]),
                jumps_to_src=np.array(head["jumps_to_src"]),
                statistics=head["statistics"],
            )
        except (KeyError, TypeError, ConfigError) as error:
            raise DatasetError(f"{fspath(folder)}: not a complete HMM model: {error!r}") from error
        # The hashes of the files are not enough: they say nothing of model.json itself.
        if model.digest != head["digest"]:
            raise DatasetError(
                f"{fspath(folder)}: content is {model.digest}, model.json says {head['digest']}; "
                "fit and save it again"
            )
        return model

    def _header(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "config": self.config.to_json(),
            "jumps_to_tgt": self.jumps_to_tgt.tolist(),
            "jumps_to_src": self.jumps_to_src.tolist(),
            "statistics": dict(self.statistics),
        }

    def _tables(self) -> dict[str, pa.Table]:
        entries = np.diff(self.table.start).astype(np.int32)
        return {
            "src_words": pa.table(
                {"word": self.src_words, "null": self.null_src, "entries": entries}
            ),
            "tgt_words": pa.table({"word": self.tgt_words, "null": self.null_tgt}),
            "table": pa.table(
                {"tgt": self.table.tgt, "p_tgt": self.table.p_tgt, "p_src": self.table.p_src}
            ),
        }


def _canonical(value: object) -> bytes:
    # One form for equal values, whatever order a dict was built in; floats by their shortest repr,
    # which reads back to the same bits.
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _column_bytes(column: pa.Array) -> bytes:
    """Returns the content of a column, without offset, padding or validity."""
    if pa.types.is_string(column.type):
        lengths = pc.binary_length(column).to_numpy(zero_copy_only=False)
        # The lengths go with it, so that ["ab", "c"] and ["a", "bc"] differ.
        text = "".join(column.to_pylist()).encode()
        return lengths.astype("<i4").tobytes() + text
    values = column.to_numpy(zero_copy_only=False)
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def _read_bytes(path: str) -> bytes:
    files, where = filesystem(path)
    try:
        with files.open_input_stream(where) as stream:
            return bytes(stream.read())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error}); is it an aligner model?") from error


def _read_head(folder: str) -> dict[str, Any]:
    path = f"{folder}/model.json"
    try:
        head = read_json(path)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error}); is it an aligner model?") from error
    except ValueError as error:
        raise DatasetError(f"{path}: not JSON ({error}); fit and save the model again") from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        got = head.get("format") if isinstance(head, dict) else type(head).__name__
        raise DatasetError(f"{path}: format is {got!r}, expected {FORMAT!r}")
    missing = {"config", "jumps_to_tgt", "jumps_to_src", "statistics", "digest", "files"} - set(
        head
    )
    if missing:
        raise DatasetError(f"{path}: has no {sorted(missing)[0]!r}; fit and save the model again")
    return head


def _read_table(folder: str, name: str, files: dict[str, Any]) -> pa.Table:
    path = f"{folder}/{name}.arrow"
    content = _read_bytes(path)
    expected = files.get(name, {}).get("sha256")
    got = sha256(content).hexdigest()
    if got != expected:
        raise DatasetError(
            f"{path}: sha256 is {got}, model.json says {expected}; fit and save the model again"
        )
    return pa.ipc.open_file(pa.py_buffer(content)).read_all()
