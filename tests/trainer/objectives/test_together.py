"""All objectives in one run, with language embeddings, on one encoder."""

import json
import math

import pytest

from bitextile.trainer.train.pretrain import pretrain


@pytest.fixture
def entries(datasets):
    kinds = {
        "mlm": "mono",
        "tlm": "exchange",
        "camlm": "pairs",
        "btmlm": "pseudo",
        "weam": "aligned",
        "moco": "pairs",
        "align_mlm": "pairs",
        "dict_mlm": "mono",
    }
    options = {
        "weam": {"exchange_layer": True},
        "moco": {"queue": 40, "projection": 8},
        "align_mlm": {"lexicon": datasets["lexicon"], "sample": 6},
        "dict_mlm": {"lexicon": datasets["lexicon"]},
    }
    return [{"objective": o, "dataset": datasets[k]} | options.get(o, {}) for o, k in kinds.items()]


@pytest.mark.parametrize("language_embeddings", [False, True])
def test_all_objectives_learn_in_one_run(
    config, entries, word_tokenizer, tmp_path, language_embeddings
):
    settings = config(
        tokenizer=word_tokenizer.path,
        data=entries,
        grad_accumulation=4,
        steps=12,
        lr=5e-3,
        language_embeddings=language_embeddings,
    )
    pretrain(settings, str(tmp_path / "run"))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses: dict[str, list[float]] = {}
    for line in lines:
        for name, loss in json.loads(line)["losses"].items():
            losses.setdefault(name, []).append(loss)
    assert set(losses) == {
        *("mlm", "tlm", "btmlm", "dict_mlm"),
        *("camlm/src", "camlm/tgt", "weam/mp", "weam/cp", "moco/contrast", "moco/tlm"),
        *("align_mlm/mlm", "align_mlm/align"),
    }
    assert all(math.isfinite(loss) for values in losses.values() for loss in values)
    # Twelve steps show a fall only of what falls fast.
    assert losses["mlm"][-1] < losses["mlm"][0]
    assert losses["align_mlm/align"][-1] < losses["align_mlm/align"][0]
    assert losses["moco/contrast"][0] == 0.0  # the queue is empty
    assert losses["moco/contrast"][-1] > 0.0
