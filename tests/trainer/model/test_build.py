"""Fresh weights and checkpoints: geometry, seed, refusals."""

import json
from pathlib import Path

import pytest
import tokenizers
import torch
from transformers import PreTrainedTokenizerFast

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.tokens import load_tokenizer
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


def fast_files(folder: Path, names: list[str]) -> None:
    save_words(folder, names)
    (folder / "special_tokens_map.json").unlink(missing_ok=True)


def bert_files(folder: Path, names: list[str]) -> None:
    (folder / "vocab.txt").write_text("\n".join(names) + "\n", "utf-8")


def roberta_files(folder: Path, names: list[str]) -> None:
    (folder / "vocab.json").write_text(json.dumps({n: i for i, n in enumerate(names)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")


def save_words(folder: Path, names: list[str]) -> None:
    """A tokenizer of whole words, the special ones first."""
    model = tokenizers.models.WordLevel({n: i for i, n in enumerate(names)}, unk_token=names[3])
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    roles = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
    named = dict(zip(roles, names))
    PreTrainedTokenizerFast(tokenizer_object=backend, **named).save_pretrained(folder)


FOREIGN = {
    "xlm-roberta": (fast_files, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]),
    "bert": (bert_files, ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]),
    "roberta": (roberta_files, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]),
}


@pytest.mark.parametrize("model_type", FOREIGN)
def test_a_checkpoint_with_other_pieces_is_refused(model_type, tmp_path):
    """Tables of one size, so that only the pieces tell the tokenizers apart."""
    write, specials = FOREIGN[model_type]
    save_words(tmp_path / "mine", [*specials, "a", "b", "c"])
    mine = load_tokenizer(str(tmp_path / "mine"))
    model = build(mine, {"config": SIZE | {"model_type": model_type}}).mlm
    for name, words in (("same", "abc"), ("other", "acb"), ("fewer", "ab")):
        model.save_pretrained(tmp_path / name)
        write(tmp_path / name, [*specials, *words])
    build(mine, {"checkpoint": str(tmp_path / "same")})
    for name, got, at, mine_has, n in (
        ("other", "c", 6, "b", 2),
        ("fewer", "nothing", 7, "c", 1),
    ):
        with pytest.raises(ConfigError) as caught:
            build(mine, {"checkpoint": str(tmp_path / name)})
        assert str(caught.value) == (
            f"{tmp_path / name}: its tokenizer has {got!r} for id {at}, {tmp_path / 'mine'} has "
            f"{mine_has!r} ({n} ids differ); give the tokenizer in that folder"
        )


def test_a_checkpoint_without_a_tokenizer_is_taken_at_its_size(tokenizer, tmp_path):
    model = build(tokenizer, {"config": SIZE | {"model_type": "xlm-roberta"}}).mlm
    model.save_pretrained(tmp_path)
    build(tokenizer, {"checkpoint": str(tmp_path)})


def test_a_tokenizer_that_cannot_be_compared_is_refused(tokenizer, tmp_path):
    model = build(tokenizer, {"config": SIZE | {"model_type": "xlm-roberta"}}).mlm
    model.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(ConfigError, match=r"its tokenizer cannot be loaded, to be compared with"):
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
    with pytest.raises(ConfigError, match="has no model_type 'no-such-model'"):
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
