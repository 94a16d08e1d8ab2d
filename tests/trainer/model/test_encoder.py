"""Any BERT-like encoder: head and body apart give what the model itself gives."""

import numpy as np
import pytest
import torch

from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.examples import Input
from bitextile.trainer.data.loader import steps
from bitextile.trainer.data.packed import Layout, flatten, pack_inputs
from bitextile.trainer.model.build import build_encoder
from bitextile.trainer.model.encoder import Encoder, pad_decoder
from bitextile.trainer.model.heads import head_of
from bitextile.trainer.train.pretrain import open_pretraining

SIZE = {
    "hidden_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 48,
}


def build(tokenizer, geometry, **settings):
    return build_encoder(
        ModelConfig(**geometry), tokenizer, **({"max_length": 40, "seed": 1} | settings)
    )


def packed_rows(tokenizer, texts, **layout):
    """Packed rows of ids, and the places of each text."""
    inputs = [
        Input(t.numpy().astype(np.int32), np.ones(len(t), bool), np.zeros(len(t), np.int8), ("en",))
        for t in texts
    ]
    flat = flatten(inputs)
    packed, places = pack_inputs(flat, flat.tokens, pad=tokenizer.pad, **layout)
    return packed, [torch.from_numpy(places[flat.owner == i]) for i in range(len(texts))]


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta", "modernbert"])
def test_parts_give_the_logits_of_the_whole(tokenizer, model_type, tmp_path):
    encoder = build(tokenizer, {"config": SIZE | {"model_type": model_type}}).eval()
    generator = torch.Generator().manual_seed(1)
    texts = [torch.randint(5, tokenizer.size, (n,), generator=generator) for n in (12, 8, 12)]
    packed, places = packed_rows(tokenizer, texts, width=24)
    # The same texts in another order and other rows: where an input lies must not matter.
    wider, elsewhere = packed_rows(tokenizer, texts[::-1], width=40, layout=Layout.FIXED)
    with torch.no_grad():
        vectors = encoder.vectors(packed)
        assert vectors.shape == (packed.inputs.numel(), 32)
        last = encoder.vectors(packed, layer=encoder.layers)
        # ModernBERT normalises once more behind its last layer.
        assert model_type == "modernbert" or torch.equal(last, vectors)
        again = encoder.vectors(wider)
        for i, ids in enumerate(texts):
            whole = encoder.mlm(input_ids=ids[None], output_hidden_states=True)
            mine = vectors[places[i]]
            assert torch.allclose(encoder.logits(mine), whole.logits[0], atol=1e-5)
            assert torch.allclose(again[elsewhere[2 - i]], mine, atol=1e-5)
            for layer in (0, 1):
                hidden = encoder.vectors(packed, layer=layer)[places[i]]
                assert torch.allclose(hidden, whole.hidden_states[layer][0], atol=1e-5)
    encoder.mlm.save_pretrained(tmp_path)
    again = build(tokenizer, {"checkpoint": str(tmp_path)})
    for (name, a), (_, b) in zip(encoder.named_parameters(), again.named_parameters()):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta", "modernbert"])
def test_rows_that_are_no_token_are_never_predicted(tokenizer, model_type):
    """A table that was rounded up; without those rows a model says the same of the others."""
    n = tokenizer.size
    geometry = {"config": SIZE | {"model_type": model_type, "vocab_size": n + 42}}
    encoder = build(tokenizer, geometry).eval()
    vectors = torch.randn(7, encoder.width, generator=torch.Generator().manual_seed(1))
    logits = encoder.logits(vectors)
    assert logits.shape == (7, n + 42)
    assert (logits[:, n:] == -torch.inf).all()
    whole = vectors
    for part in head_of(encoder.mlm):
        whole = part(whole)
    assert torch.equal(logits[:, :n], whole[:, :n])
    torch.nn.functional.cross_entropy(logits, torch.arange(7)).backward()
    gradient = encoder.mlm.get_output_embeddings().weight.grad
    assert not gradient[n:].any()
    assert gradient[:n].any()
    assert torch.isfinite(gradient).all()
    assert "unused_rows" not in encoder.state_dict()


def test_ids_of_no_token_are_never_predicted(tokenizer):
    """Between others, as a tokenizer has them of which tokens were removed."""
    mlm = build(tokenizer, {"config": SIZE | {"model_type": "xlm-roberta"}}).mlm
    is_piece = np.ones(tokenizer.size, bool)
    is_piece[[9, 77]] = False
    encoder = Encoder(mlm, is_piece=is_piece).eval()
    logits = encoder.logits(torch.zeros(1, encoder.width))
    assert torch.isinf(logits[0]).nonzero().flatten().tolist() == [9, 77]
    assert Encoder(mlm, is_piece=np.ones(tokenizer.size, bool)).unused_rows is None


def test_norms_give_half_precision_under_autocast_alone(tokenizer):
    encoder = build(tokenizer, {"config": SIZE | {"model_type": "xlm-roberta"}}).eval()
    generator = torch.Generator().manual_seed(1)
    packed, _ = packed_rows(
        tokenizer, [torch.randint(5, tokenizer.size, (12,), generator=generator)], width=24
    )
    with torch.no_grad():
        exact = encoder.vectors(packed)
        with torch.autocast("cpu", torch.bfloat16):
            narrow = encoder.vectors(packed)
    assert (exact.dtype, narrow.dtype) == (torch.float32, torch.bfloat16)
    assert torch.nn.functional.cosine_similarity(exact, narrow.float()).min() > 0.999


def test_a_padded_head_gives_the_losses_and_gradients_of_a_plain_one(tokenizer):
    encoder = build(tokenizer, {"config": SIZE | {"model_type": "xlm-roberta"}}).eval()
    assert tokenizer.size % 64
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(9, encoder.width, generator=generator)
    targets = torch.randint(5, tokenizer.size, (9,), generator=generator)

    def gradient():
        encoder.zero_grad()
        loss = encoder.prediction_loss(vectors, targets)
        loss.total.backward()
        return loss.total.detach(), encoder.table.grad.clone()

    plain = gradient()
    logits = encoder.logits(vectors).detach()
    pad_decoder(encoder.mlm)
    assert encoder.mlm.get_output_embeddings()(vectors).shape[1] % 64 == 0
    padded = gradient()
    assert torch.allclose(plain[0], padded[0])
    assert torch.allclose(plain[1], padded[1], atol=1e-6)
    assert torch.equal(encoder.logits(vectors), logits)


def test_gradient_checkpointing_changes_no_gradient(config):
    found = {}
    for checkpointing in (False, True):
        state = open_pretraining(config(gradient_checkpointing=checkpointing))
        state.encoder.train()
        batch = next(steps(state.streams, state.collation))[0].batch
        torch.manual_seed(0)
        parts = state.entries[0].objective.losses(state.encoder, None, batch)
        sum(p.total for p in parts.values()).backward()
        found[checkpointing] = [p.grad for p in state.parameters() if p.grad is not None]
    assert len(found[True]) == len(found[False]) > 0
    for one, other in zip(found[True], found[False]):
        assert torch.allclose(one, other, atol=1e-5)
