"""The RunInference glue: one model per process, batches as they come, files checked."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from bitextile.kernels.backtranslate import GENERATED, InferenceFn
from bitextile.kernels.filters.translation import TranslationFilterConfig
from bitextile.kernels.model_digest import encoder_digest
from bitextile.kernels.rejects import Filtered, split_rejects
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import PSEUDO
from bitextile.transforms import generation
from bitextile.transforms.batches import TrackedRows
from bitextile.transforms.generation import Backtranslate, EngineHandler, RunModel

LOADED: list[str] = []


class Shout:
    """A model that cannot take every fifth line and says each other one in capitals."""

    def __call__(self, batch: pa.RecordBatch) -> Filtered:
        line = batch.column("line").to_numpy()
        kept, rejects = split_rejects(
            batch, line % 5 != 0, rule="fifth/1", value=line.astype(float)
        )
        columns = {name: kept.column(name) for name in ("text_id", "tgt_lang", "corpus", "file")}
        columns |= {"src_lang": kept.column("lang"), "src": kept.column("text")}
        columns["line"] = kept.column("line")
        columns["tgt"] = [f"zu {n} viel" if n % 2 else "" for n in kept["line"].to_pylist()]
        columns["tgt_tokens"] = [text.split() for text in columns["tgt"]]
        columns |= {"score": [-1.0] * len(kept), "generator": ["shout"] * len(kept)}
        return Filtered(pa.RecordBatch.from_pydict(columns, schema=GENERATED), rejects)


@dataclass(frozen=True)
class ShoutEngine:
    folder: str
    digest: str

    def load(self) -> InferenceFn:
        LOADED.append(self.folder)
        return Shout()


@pytest.fixture
def engine(tmp_path: Path) -> ShoutEngine:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text(name)
    return ShoutEngine(str(tmp_path), encoder_digest(str(tmp_path)))


def test_every_row_comes_out_kept_or_rejected_by_model_or_filter(
    pipeline, mono_rows, engine, monkeypatch
) -> None:
    monkeypatch.setattr(generation, "SHUFFLE_ROWS", 7)
    with pipeline() as root:
        rows = TrackedRows(
            root | beam.Create([mono_rows(30)]), (), root | "Read" >> beam.Create([30])
        )
        tracked = rows | Backtranslate(engine, {"ar": 1.0, "de": 1.0}, TranslationFilterConfig())
        kept = tracked.kept | beam.FlatMap(lambda batch: batch["src"].to_pylist())
        schemas = tracked.kept | "Schemas" >> beam.Map(lambda batch: tuple(batch.schema.names))
        rejects = tracked.rejects | beam.Flatten()
        named = rejects | "Rules" >> beam.FlatMap(lambda b: b["rule"].to_pylist())
        counts = named | beam.combiners.Count.PerElement()
        odd = [f"جملة {n - 1} Satz" for n in range(1, 31) if n % 2 and n % 5]
        assert_that(kept, equal_to(odd), "kept")
        assert_that(schemas | beam.Distinct(), equal_to([tuple(PSEUDO.schema.names)]), "schemas")
        assert_that(counts, equal_to([("fifth/1", 6), ("empty/1", 12)]), "rules")


def test_it_loads_once_counts_rows_and_never_regroups(mono_rows, engine, monkeypatch) -> None:
    LOADED.clear()
    monkeypatch.setattr(generation, "SHUFFLE_ROWS", 8)
    asked = mono_rows(20).append_column("tgt_lang", pa.array(["en"] * 20))
    root = beam.Pipeline(runner=FnApiRunner())
    filtered = root | beam.Create([asked]) | RunModel(engine)
    sizes = filtered.kept | beam.Map(lambda batch: batch.num_rows)
    assert_that(sizes, equal_to([7, 6, 3]))  # of 8, 8 and 4 rows, less every fifth line
    done = root.run()
    done.wait_until_finish()
    assert [engine.folder] == LOADED
    counters = done.metrics().query(MetricsFilter().with_namespace("RunModel"))["counters"]
    assert {c.key.metric.name: c.committed for c in counters} == {
        "in": 20,
        "kept": 16,
        "rejected": 4,
    }


def test_a_worker_with_other_files_refuses(engine) -> None:
    handler = pickle.loads(pickle.dumps(EngineHandler(engine, "x")))  # noqa: S301 - our own
    assert isinstance(handler.load_model(), Shout)
    Path(engine.folder, "model.safetensors").write_text("changed")
    with pytest.raises(ConfigError, match=r"is sha256:.* on this worker, expected sha256:"):
        handler.load_model()
