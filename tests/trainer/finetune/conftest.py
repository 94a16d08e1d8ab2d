"""A toy task in the tiny bilingual world: sentence pairs with labels, and what SALT adds."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from bitextile.kernels.model_digest import encoder_digest
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig, switch_by_candidates
from bitextile.schema.errors import BitextileError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import KINDS
from bitextile.schema.manifest import Counts, Manifest, write_manifest
from bitextile.schema.shards import shard_path, write_shard
from bitextile.trainer.config_file import parse_config
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.finetune.config import FinetuneConfig
from bitextile.trainer.finetune.loop import finetune
from bitextile.trainer.train.pretrain import save_initial

# fmt: off
ENGLISH = ["the", "red", "dog", "sees", "a", "small", "house", "near",
           "old", "trees", "while", "birds", "sing", "under", "blue", "skies"]
ARABIC = ["ال", "أحمر", "كلب", "يرى", "ما", "صغير", "بيت", "قرب",
          "قديم", "أشجار", "بينما", "طيور", "تغني", "تحت", "أزرق", "سماء"]
# fmt: on
LABELS = ("contradiction", "entailment", "neutral")

Row = tuple[str, str, str]


def sentence(number: int) -> str:
    return " ".join(
        ENGLISH[(number * 7 + k * (number % 5 + 1)) % 16] for k in range(4 + number % 4)
    )


def spans(text: str) -> list[dict[str, int]]:
    found, start = [], 0
    for word in text.split(" "):
        found.append({"start": start, "end": start + len(word)})
        start += len(word) + 1
    return found


@pytest.fixture(scope="session")
def task_rows() -> list[Row]:
    """Twenty pairs whose labels nothing in them explains."""
    return [
        (sentence(i), sentence(3 * i + 50), LABELS[(i * i + i // 3) % len(LABELS)])
        for i in range(20)
    ]


@pytest.fixture
def write_task(tmp_path) -> Callable[..., str]:
    def write(rows: Sequence[Sequence[str]], name: str = "task.tsv") -> str:
        path = tmp_path / name
        path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def task_file(write_task, task_rows) -> str:
    return write_task(task_rows, "train.tsv")


@pytest.fixture
def encoder(config, tmp_path) -> str:
    """An encoder that knows nothing, as `pretrain` would write it, but keeps words apart.

    Weights as small as usual would take a pre-training to tell twenty bags of words apart.
    """
    path = str(tmp_path / "encoder")
    geometry = config().model.config | {"initializer_range": 0.2}
    save_initial(config(model={"config": geometry}), path)
    return path


@pytest.fixture(scope="session")
def write_rows() -> Callable[..., str]:
    """Writes rows as a dataset of one key; `inputs` for its manifest."""

    def write(path: Path, kind: str, rows: pa.RecordBatch, key: str = "en", **more: object) -> str:
        table = pa.Table.from_batches([rows]).sort_by(KINDS[kind].id_columns[0])
        shard = write_shard(str(path), shard_path(key, 0, 1), table, KINDS[kind])
        manifest = Manifest(
            kind=kind,
            schema_version=1,
            columns={f.name: str(f.type) for f in table.schema},
            shards=(shard,),
            counts=Counts(read=len(table), kept=len(table)),
            keys={key: {"rows": len(table), "languages": key.split("-")}},
            **more,
        )
        write_manifest(str(path), manifest)
        return str(path)

    return write


@pytest.fixture(scope="session")
def candidate_rows() -> Callable[..., pa.RecordBatch]:
    """Two candidates for every word but "the", in sentences of `texts`."""

    def make(texts: Sequence[str]) -> pa.RecordBatch:
        rows = []
        for text in sorted(set(texts)):
            words = text.split(" ")
            found = [
                []
                if word == "the"
                else [
                    {"text": ARABIC[ENGLISH.index(word)], "lang": "ar", "score": 0.6},
                    {"text": ARABIC[(ENGLISH.index(word) + 1) % 16], "lang": "ar", "score": 0.2},
                ]
                for word in words
            ]
            text_id = text_ids("en", pa.array([text]))[0].as_py()
            row = {"text_id": text_id, "lang": "en", "text": text, "spans": spans(text)}
            rows.append(row | {"candidates": found})
        return pa.RecordBatch.from_pylist(rows, schema=KINDS["candidates"].schema)

    return make


@pytest.fixture
def salt(write_rows, candidate_rows, task_rows, encoder, tmp_path) -> dict[str, list[str]]:
    """Candidates and switched copies of the task's fields, as settings; one field has none."""
    texts = [text for row in task_rows[1:] for text in row[:2] if text not in task_rows[0]]
    rows = candidate_rows(texts)
    inputs = ({"path": encoder, "digest": encoder_digest(encoder)},)
    config = {"command": "candidates", "model": encoder}
    found = write_rows(tmp_path / "candidates", "candidates", rows, inputs=inputs, config=config)
    switched = switch_by_candidates(rows, config=CandidatesSwitchConfig(variants=3)).kept
    copies = write_rows(tmp_path / "copies", "codeswitch", switched)
    return {"candidates": [found], "copies": [copies]}


@pytest.fixture
def tuning(encoder, task_file, tmp_path) -> Callable[..., FinetuneConfig]:
    """Makes a configuration of a tiny fine-tuning; keyword arguments replace its settings."""

    def make(**settings: object) -> FinetuneConfig:
        content = {
            "model": encoder,
            "train": [{"file": task_file, "language": "en"}],
            "batch_rows": 8,
            "max_length": 64,
            "lr": 1e-3,
            "device": "cpu",
        }
        return parse_config(
            FinetuneConfig, yaml.safe_load(yaml.safe_dump(content | settings)), base=tmp_path
        )

    return make


@pytest.fixture
def collation(tokenizer) -> Collation:
    masking = Masking(rate=0.0, mask=tokenizer.mask, ordinary=tokenizer.ordinary, seed=0)
    return Collation(masking=masking, pad=tokenizer.pad, width=64)


@pytest.fixture
def refused(tuning, tmp_path):
    """Runs a fine-tuning and returns what it was refused with."""

    def run(error: type[BitextileError], **settings: object) -> str:
        out = tmp_path / "refused"
        with pytest.raises(error) as caught:
            finetune(tuning(**settings), str(out))
        assert not out.exists()
        assert type(caught.value) is error
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 400
        return message

    return run
