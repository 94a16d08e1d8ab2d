"""Figures on held-out rows against one row at a time through the whole model."""

import pytest
import torch

from bitextile.trainer.distributed.process_group import SINGLE_PROCESS
from bitextile.trainer.finetune import score as module
from bitextile.trainer.finetune.loop import FinetuneJob


@pytest.mark.parametrize("tokens", [8_192, 30])
def test_loss_and_accuracy_are_those_of_single_rows(tuning, salt, monkeypatch, task_file, tokens):
    monkeypatch.setattr(module, "BATCH_TOKENS", tokens)
    with torch.random.fork_rng():
        state = FinetuneJob(tuning(valid=[task_file], **salt)).open(None, SINGLE_PROCESS)
    entry = state.entries[0]
    rows = entry.task.targets(entry.valid["train.tsv"], entry.labels)
    found = module.score(state, rows)
    encoder, head, tokenizer = state.encoder, state.module_of(0), state.tokenizer
    loss, right = 0.0, 0
    for row in rows.to_pylist():
        sides = [side.ids for side in tokenizer.encode([row["premise"], row["hypothesis"]])]
        ids = [tokenizer.cls, *sides[0], tokenizer.sep, *sides[1], tokenizer.sep]
        with torch.no_grad():
            hidden = encoder.mlm.base_model(input_ids=torch.tensor([ids])).last_hidden_state
            scores = head(hidden[:, 0]).log_softmax(dim=1)[0]
        # Plain rows only: figures on held-out rows are without what SALT adds.
        loss -= float(scores[row["class"]])
        right += int(scores.argmax()) == row["class"]
    assert found == {
        "loss": pytest.approx(loss / len(rows), rel=1e-5),
        "accuracy": pytest.approx(right / len(rows)),
    }
