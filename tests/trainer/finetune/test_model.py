"""Heads are those of transformers: what is written gives the scores that were trained."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForPreTraining,
)

from bitextile.schema.errors import ConfigError
from bitextile.trainer.evaluate.sentence_pairs import FIELDS, read_file
from bitextile.trainer.finetune.classify import Classify, logits
from bitextile.trainer.finetune.model import (
    Classifier,
    _head_of,
    fresh_classifier,
    pair_tokenizer,
    save_classifier,
)
from bitextile.trainer.model.build import load_masked_lm
from bitextile.trainer.model.encoder import Encoder

FAMILIES = {
    "xlm-roberta": {"num_hidden_layers": 2},
    "roberta": {"num_hidden_layers": 1},
    "bert": {"num_hidden_layers": 2},
    "modernbert": {"num_hidden_layers": 2, "tie_word_embeddings": True},
}


def config_of(family: str, tokenizer):
    return AutoConfig.for_model(
        family,
        vocab_size=tokenizer.size,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=80,
        pad_token_id=tokenizer.pad,
        bos_token_id=tokenizer.cls,
        eos_token_id=tokenizer.sep,
        cls_token_id=tokenizer.cls,
        sep_token_id=tokenizer.sep,
        **FAMILIES[family],
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_says_what_was_trained(family, tokenizer, collation, task_file, tmp_path):
    config = config_of(family, tokenizer)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        encoder = Encoder(AutoModelForMaskedLM.from_config(config)).eval()
        objective = Classify(FIELDS, ("a", "b", "c"), 64)
        head: Classifier = objective.module(encoder).eval()
    task = read_file(task_file, language="en")
    rows = task.rows.append_column("class", pa.array(np.zeros(20, np.int64)))
    batch = objective.collate(objective.examples(rows, np.zeros(20, int), tokenizer), collation)
    with torch.no_grad():
        ours = logits(encoder, head, batch)
    body = {n: t.detach() for n, t in encoder.mlm.state_dict().items()}
    save_classifier(tmp_path, encoder, objective.labels, body=body, head=head.state_dict())
    pair_tokenizer(tokenizer).save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert loaded.config.id2label == {0: "a", 1: "b", 2: "c"}
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    fields = [rows.column(name).to_pylist() for name in ("premise", "hypothesis")]
    for i, pair in enumerate(zip(*fields)):
        ids = tokenizer(*pair, return_tensors="pt")
        allowed = {k: v for k, v in ids.items() if k in ("input_ids", "attention_mask")}
        with torch.no_grad():
            theirs = loaded(**allowed).logits[0]
            whole = loaded(**ids).logits[0] if family == "bert" else theirs
        assert torch.allclose(theirs, ours[i], atol=1e-5)
        assert torch.allclose(whole, ours[i], atol=1e-5)  # types, where there are any, are 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("saved_as", ["pretraining", "masked-lm", "body", "classifier"])
def test_layers_of_the_head_that_the_folder_has_are_kept(family, saved_as, tokenizer, tmp_path):
    """As transformers takes them into its own classifier, the last layer aside."""
    config = config_of(family, tokenizer)
    config.num_labels = 3
    classes = {
        "pretraining": BertForPreTraining if family == "bert" else None,
        "masked-lm": AutoModelForMaskedLM,
        "body": AutoModel,
        "classifier": AutoModelForSequenceClassification,
    }
    if classes[saved_as] is None:
        pytest.skip("BERT alone was pre-trained with two losses")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        make = classes[saved_as]
        whole = make(config) if make is BertForPreTraining else make.from_config(config)
        whole.save_pretrained(tmp_path, max_shard_size="40KB")  # several files
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
        torch.manual_seed(4)
        theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
        encoder = Encoder(load_masked_lm(str(tmp_path)))
        torch.manual_seed(5)
        ours = fresh_classifier(encoder, ("a", "b", "c"), folder=str(tmp_path))
        torch.manual_seed(5)
        fresh = fresh_classifier(encoder, ("a", "b", "c"))
    in_folder = {name for path in tmp_path.glob("*.safetensors") for name in load_file(path)}
    kept = 0
    expected = dict(Classifier(_head_of(theirs)).named_parameters())
    names = {id(p): n for n, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        full = names[id(expected[name])]
        last = full.startswith(("classifier.weight", "classifier.bias", "classifier.out_proj"))
        known = {full, full.removeprefix(f"{theirs.base_model_prefix}.")} & in_folder
        same = torch.equal(parameter, expected[name])
        assert same if known and not last else torch.equal(parameter, fresh.state_dict()[name])
        kept += bool(known) and not last
    # A masked language model of BERT has no pooler; a body of RoBERTa has one that no head uses.
    has = {"bert": saved_as != "masked-lm", "modernbert": saved_as != "body"}
    assert bool(kept) == has.get(family, saved_as == "classifier")


def test_an_architecture_without_such_a_head_is_refused(tokenizer):
    config = AutoConfig.for_model(
        "electra", vocab_size=tokenizer.size, hidden_size=32, num_attention_heads=2,
        embedding_size=32, num_hidden_layers=1, intermediate_size=48,
    )  # fmt: skip
    mlm = AutoModelForMaskedLM.from_config(config)

    class Body:
        def __init__(self):
            self.mlm = mlm

    assert fresh_classifier(Body(), ("a", "b")).parts  # dense and out_proj: it has one

    config.model_type = "none"
    mlm.config = type("Strange", (type(config),), {})()
    with pytest.raises(ConfigError, match="no sequence classifier for Strange"):
        fresh_classifier(Body(), ("a", "b"))
