"""The card: front matter for the hub, data with digests, the configuration."""

import pyarrow as pa
import yaml

from bitextile.trainer.evaluate.task import TaskData
from bitextile.trainer.finetune.card import write_card


def test_the_card_names_data_labels_and_settings(tuning, tmp_path):
    data = TaskData("data/train.tsv", pa.table({"record": ["a", "b"]}), 3, "sha256:12")
    facts = {"steps": 7, "fields with switched copies": 2}
    write_card(tmp_path, tuning(epochs=2), ("no", "yes"), [data], facts)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    _, front, text = card.split("---\n", 2)
    assert yaml.safe_load(front)["pipeline_tag"] == "text-classification"
    assert "| train.tsv | 2 | 3 | 0 | `sha256:12` |" in text
    assert "Labels: no, yes." in text
    assert "- steps: 7\n- fields with switched copies: 2\n" in text
    assert yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])["epochs"] == 2.0
