"""The card names data, digests and configuration; bitextile.json goes round."""

import pytest
import yaml

from bitextile.schema.errors import ConfigError
from bitextile.trainer.observe.card import (
    PROVENANCE,
    read_provenance,
    write_card,
    write_provenance,
)
from bitextile.trainer.train.pretrain import open_pretraining


def test_provenance_goes_round(tmp_path):
    assert read_provenance(str(tmp_path)) is None
    write_provenance(tmp_path, {"step": 3, "name": "ไทย"})
    assert read_provenance(str(tmp_path)) == {"step": 3, "name": "ไทย"}
    assert "ไทย" in (tmp_path / "bitextile.json").read_text(encoding="utf-8")


def test_a_card_has_front_matter_facts_data_and_configuration(config, tmp_path):
    made = config(steps=7)
    state = open_pretraining(made)
    write_card(tmp_path, made, state.entries, {"steps": 7, "useful tokens": 99})
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(text.split("---")[1])
    assert front == {
        "language": ["ar", "en"],
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
    }
    assert "- steps: 7\n- useful tokens: 99" in text
    manifest = state.entries[0].dataset.manifest
    assert f"| weam | 1 | aligned | aligned | {manifest.rows:,} | `{manifest.digest}` |" in text
    block = text.split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(block) == made.model_dump(mode="json")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "7",
        '{"datasets": 3}',
        '{"datasets": [{"objective": 3}]}',
        '{"tokenizer": []}',
        '{"max_length": "x"}',
        '{"max_length": true}',
        '{"a":' * 100_000,
    ],
)
def test_provenance_that_is_none_is_refused(tmp_path, content):
    (tmp_path / PROVENANCE).write_text(content)
    with pytest.raises(ConfigError, match=PROVENANCE):
        read_provenance(str(tmp_path))
