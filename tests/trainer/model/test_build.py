"""Fresh weights and checkpoints: geometry, seed, refusals."""

import pytest
import torch

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.model.build import PRESETS, build_encoder, load_masked_lm
from bitextile.trainer.train.pretrain import pretrain


def test_more_positions_than_the_model_has_are_refused(config, tmp_path):
    pretrain(config(), str(tmp_path / "run"))
    settings = {"model": {"checkpoint": str(tmp_path / "run")}, "max_length": 4000}
    with pytest.raises(ConfigError, match="max_length is 4000; lower it"):
        pretrain(config(**settings, batch_tokens=4096), str(tmp_path / "next"))


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


def test_presets_have_their_geometry(tokenizer):
    encoder = build(tokenizer, {"preset": "mini"})
    assert (encoder.layers, encoder.width) == (4, 256)
    assert PRESETS["base"]["hidden_size"] == 768
    table = encoder.mlm.get_input_embeddings().weight
    assert table is encoder.mlm.get_output_embeddings().weight
    assert len(table) == tokenizer.size


def test_fresh_weights_follow_the_seed_and_leave_the_generator_alone(tokenizer):
    before = torch.random.get_rng_state()
    a, b, c = (build(tokenizer, {"preset": "mini"}, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    tables = [e.mlm.get_input_embeddings().weight for e in (a, b, c)]
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])


def test_a_folder_with_only_a_pickle_is_refused(tokenizer, tmp_path):
    encoder = build(tokenizer, {"config": SIZE | {"model_type": "bert"}})
    encoder.mlm.config.save_pretrained(tmp_path)
    torch.save(encoder.mlm.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"found pytorch_model.bin; pickles can run code"):
        build(tokenizer, {"checkpoint": str(tmp_path)})


def test_refusals(tokenizer, tmp_path):
    with pytest.raises(ConfigError, match="no model folder"):
        load_masked_lm(str(tmp_path / "none"))
    build(tokenizer, {"config": SIZE | {"model_type": "xlm-roberta"}}).mlm.save_pretrained(tmp_path)
    # The table has max_length + pad + 1 rows: RoBERTa counts positions from the padding id + 1.
    with pytest.raises(ConfigError, match="room for 40 positions, max_length is 41"):
        build(tokenizer, {"checkpoint": str(tmp_path)}, max_length=41)
    with pytest.raises(ConfigError, match="50 embeddings, the tokenizer 150 ids"):
        build(tokenizer, {"config": SIZE | {"model_type": "bert", "vocab_size": 50}})
    with pytest.raises(ConfigError, match="transformers does not accept"):
        build(tokenizer, {"config": SIZE | {"model_type": "no-such-model"}})
    with pytest.raises(ConfigError, match="has no known head"):
        build(
            tokenizer,
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
