"""The card in a dataset's folder, and the libraries that read such a folder as it is."""

import os
import subprocess
import sys
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest

from bitextile.schema.dataset import verify_dataset
from bitextile.schema.kinds import MONO
from bitextile.transforms.card import CARD
from bitextile.transforms.write import WriteDataset

TEXTS = [("de", "ein Haus"), ("ar", "بيت"), ("zh", "房子"), ("de", "ein Hund")]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    rows = [
        {"text_id": f"{n:032x}", "lang": lang, "text": text, "corpus": "c", "file": "f"}
        | {"line": n, "split": "test" if n else "train"}
        for n, (lang, text) in enumerate(TEXTS)
    ]
    path = str(tmp_path / "mono")
    with beam.Pipeline() as root:
        batch = pa.RecordBatch.from_pylist(rows, MONO.schema)
        root | beam.Create([batch]) | WriteDataset(path, MONO)
    return path


def test_datasets_loads_the_folder_and_each_language(folder, tmp_path):
    pytest.importorskip("datasets")
    # In a process of its own: the library reads its settings when it is imported.
    code = (
        "import sys, datasets\n"
        "rows = datasets.load_dataset(sys.argv[1])['rows']\n"
        "print(sorted(rows['text']), sorted(set(rows['split'])))\n"
        "print(datasets.load_dataset(sys.argv[1], 'ar')['rows']['text'][0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder],
        env=os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{sorted(t for _, t in TEXTS)} ['test', 'train']", "بيت"]


def test_the_card_may_be_edited_and_is_not_replaced(folder, tmp_path):
    card = Path(folder, CARD)
    assert 'path: "data/*/*.parquet"' in card.read_text()
    assert "rejects" not in card.read_text()
    card.write_text("mine")
    verify_dataset(folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / CARD).write_text("mine")
    with beam.Pipeline() as root:
        root | beam.Create([]) | WriteDataset(str(other), MONO)
    assert (other / CARD).read_text() == "mine"
