"""Any BERT-like encoder: head and body apart give what the model itself gives."""

import pytest
import torch

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.tokens import load_coder
from bitextile.trainer.model import PRESETS, build_encoder, load_masked_lm

SIZE = {
    "hidden_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 48,
}


@pytest.fixture(scope="module")
def coder(tokenizer_folder):
    return load_coder(tokenizer_folder)


def build(coder, geometry, **settings):
    return build_encoder(
        ModelConfig(**geometry), coder, **({"max_length": 40, "seed": 1} | settings)
    )


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta", "modernbert"])
def test_parts_give_the_logits_of_the_whole(coder, model_type, tmp_path):
    encoder = build(coder, {"config": SIZE | {"model_type": model_type}}).eval()
    inputs = torch.randint(5, coder.size, (3, 12), generator=torch.Generator().manual_seed(1))
    attention = torch.ones_like(inputs)
    inputs[1, 8:], attention[1, 8:] = coder.pad, 0
    with torch.no_grad():
        whole = encoder.mlm(input_ids=inputs, attention_mask=attention).logits
        at = torch.tensor([0, 3, 14, 30])
        vectors = encoder.vectors(inputs, attention)
        assert torch.allclose(encoder.logits(vectors[at]), whole.flatten(0, 1)[at], atol=1e-5)
        last = encoder.vectors(inputs, attention, layer=encoder.layers)
        assert vectors.shape == (36, 32)
        # ModernBERT normalises once more behind its last layer.
        assert model_type == "modernbert" or torch.equal(last, vectors)
        padded = torch.cat([inputs, torch.full((3, 5), coder.pad)], 1)
        wider = torch.cat([attention, torch.zeros(3, 5, dtype=torch.long)], 1)
        more = encoder.vectors(padded, wider).reshape(3, 17, -1)[:, :12]
        mine = vectors.reshape(3, 12, -1)
        assert torch.allclose(more[attention > 0], mine[attention > 0], atol=1e-5)
    encoder.mlm.save_pretrained(tmp_path)
    again = build(coder, {"checkpoint": str(tmp_path)})
    for (name, a), (_, b) in zip(encoder.named_parameters(), again.named_parameters()):
        assert torch.equal(a, b), name


def test_presets_have_their_geometry(coder):
    encoder = build(coder, {"preset": "mini"})
    assert (encoder.layers, encoder.width) == (4, 256)
    assert PRESETS["base"]["hidden_size"] == 768
    table = encoder.mlm.get_input_embeddings().weight
    assert table is encoder.mlm.get_output_embeddings().weight
    assert len(table) == coder.size


def test_fresh_weights_follow_the_seed_and_leave_the_generator_alone(coder):
    before = torch.random.get_rng_state()
    a, b, c = (build(coder, {"preset": "mini"}, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    tables = [e.mlm.get_input_embeddings().weight for e in (a, b, c)]
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])


def test_a_folder_with_only_a_pickle_is_refused(coder, tmp_path):
    encoder = build(coder, {"config": SIZE | {"model_type": "bert"}})
    encoder.mlm.config.save_pretrained(tmp_path)
    torch.save(encoder.mlm.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"found pytorch_model.bin; pickles can run code"):
        build(coder, {"checkpoint": str(tmp_path)})


def test_refusals(coder, tmp_path):
    with pytest.raises(ConfigError, match="no model folder"):
        load_masked_lm(str(tmp_path / "none"))
    build(coder, {"config": SIZE | {"model_type": "xlm-roberta"}}).mlm.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="room for 40 positions, max_length is 41"):
        build(coder, {"checkpoint": str(tmp_path)}, max_length=41)
    with pytest.raises(ConfigError, match="50 embeddings, the tokenizer 150 ids"):
        build(coder, {"config": SIZE | {"model_type": "bert", "vocab_size": 50}})
    with pytest.raises(ConfigError, match="transformers does not accept"):
        build(coder, {"config": SIZE | {"model_type": "no-such-model"}})
    with pytest.raises(ConfigError, match="no head we know"):
        build(
            coder,
            {
                "config": {
                    "model_type": "distilbert",
                    "dim": 32,
                    "n_heads": 2,
                    "n_layers": 1,
                    "hidden_dim": 32,
                }
            },
        )
