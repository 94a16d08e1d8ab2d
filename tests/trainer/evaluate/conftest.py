"""A tiny untrained model and a classifier to evaluate, and a task file."""

import pytest
import torch

from bitextile.trainer.finetune.model import fresh_classifier, pair_tokenizer, save_classifier
from bitextile.trainer.model.build import load_masked_lm
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.train.pretrain import save_initial


@pytest.fixture
def model(config, tmp_path) -> str:
    path = str(tmp_path / "model")
    save_initial(config(), path)
    return path


LABELS = ("contradiction", "entailment", "neutral")


@pytest.fixture
def classifier(model, tokenizer, tmp_path) -> str:
    """A classifier of sentence pairs that has learned nothing, as `finetune` writes it."""
    folder = tmp_path / "classifier"
    encoder = Encoder(load_masked_lm(model))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        head = fresh_classifier(encoder, LABELS)
    body = {n: t.detach() for n, t in encoder.mlm.state_dict().items()}
    save_classifier(folder, encoder, LABELS, body=body, head=head.state_dict())
    pair_tokenizer(tokenizer).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def task_file(tmp_path) -> str:
    """Four pairs, of which one lacks a sentence."""
    rows = [
        ("the red dog sees", "a small house", "neutral"),
        ("old trees", "NS", "neutral"),
        ("birds sing under blue skies " * 20, "the dog", "entailment"),
        ("كلب أحمر", "بيت صغير", "contradiction"),
    ]
    path = tmp_path / "test.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)
