"""Packed equals unpacked: no input of a row sees another, in any model, under any rule."""

import itertools
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_block_mask, create_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoConfig, AutoModelForMaskedLM

from bitextile.trainer.data.examples import Input
from bitextile.trainer.data.packed import FULL, Layout, Packed, flatten, pack_inputs
from bitextile.trainer.model import attention
from bitextile.trainer.model import encoder as encoder_module
from bitextile.trainer.model.attention import block_mask, dense_mask, has_varlen
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.camlm import VISIBILITY

WINDOW = 4
"""Distance that a layer of the ModernBERT below sees: shorter than most of the inputs."""

PAD = 1
GEOMETRY = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": PAD,
}
MODELS = {
    "bert": {},
    "xlm-roberta": {},
    "modernbert": {"local_attention": 2 * WINDOW, "global_attn_every_n_layers": 2},
}
LENGTHS = (17, 3, 9, 22, 2, 14, 11)
INDEX = {"ar": 0, "en": 1}


def inputs_of(lengths, seed: int = 0) -> list[Input]:
    generator = np.random.default_rng(seed)
    made = []
    for n in lengths:
        sides = (np.arange(n) >= n // 2).astype(np.int8)
        tokens = generator.integers(5, 60, n).astype(np.int32)
        made.append(Input(tokens, np.ones(n, bool), sides, ("en", "ar")))
    return made


def pack(inputs: list[Input], *, visibility=FULL, width: int = 40, layout: Layout = Layout.NARROW):
    """Rows of inputs, every third position in the role of a selected one if there are roles."""
    flat = flatten(inputs)
    # Numbered as CAMLM does: 2 x sentence + selected.
    roles = 2 * flat.sides.astype(np.int64) + (flat.positions % 3 == 1)
    languages = flat.sides.astype(np.int64)
    return pack_inputs(
        flat,
        flat.tokens,
        width=width,
        pad=PAD,
        layout=layout,
        attention_roles=roles if len(visibility) > 1 else None,
        visibility=visibility,
        languages=languages,
    )


@cache
def model(model_type: str) -> Encoder:
    """A random model, its attention far from uniform."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = AutoConfig.for_model(model_type, **GEOMETRY, **MODELS[model_type])
        encoder = Encoder(AutoModelForMaskedLM.from_config(config), ("ar", "en"))
        with torch.no_grad():
            for name, parameter in encoder.named_parameters():
                if parameter.dim() == 2 and "embeddings" not in name:
                    # Fresh weights attend almost uniformly, and a wrong mask would hide within the
                    # tolerance.
                    parameter.mul_(8)
    return encoder.eval()


def naive_mask(packed: Packed, window: int | None) -> torch.Tensor:
    rows, width = packed.groups.shape
    mask = torch.zeros(rows, 1, width, width, dtype=torch.bool)
    for r in range(rows):
        for q in range(width):
            for k in range(width):
                same = packed.groups[r, q] == packed.groups[r, k]
                seen = packed.visibility[packed.attention_roles[r, q], packed.attention_roles[r, k]]
                near = window is None or abs(q - k) <= window
                # By distance in the row, which within an input is that of its positions.
                mask[r, 0, q, k] = bool(same and seen and near)
    return mask


@pytest.mark.parametrize("visibility", [FULL, VISIBILITY])
@pytest.mark.parametrize("window", [None, 3])
def test_dense_mask_equals_the_naive_loop(visibility, window):
    packed, _ = pack(inputs_of((7, 3, 5)), visibility=visibility, width=12)
    assert torch.equal(dense_mask(packed, window=window), naive_mask(packed, window))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=30),
    st.sampled_from([FULL, VISIBILITY]),
    st.sampled_from([None, 5, 200]),
    st.sampled_from([(Layout.FIXED, 384), (Layout.FIXED, 640), (Layout.ONE_ROW, 128)]),
)
def test_block_mask_equals_dense_mask(lengths, visibility, window, rows):
    layout, width = rows
    packed, _ = pack(inputs_of(lengths), visibility=visibility, width=width, layout=layout)
    dense = dense_mask(packed, window=window)
    block = block_mask(packed, window=window)
    rows, width = packed.groups.shape
    told = create_mask(block.mask_mod, rows, 1, width, width, device="cpu")
    useful = packed.groups > 0
    assert torch.equal(told[:, 0][useful], dense[:, 0][useful])
    # Padding sees padding, itself at least: a softmax over nothing is NaN.
    padding = told[:, 0][~useful]
    assert padding.any(dim=1).all()
    assert not (padding & useful.repeat_interleave((~useful).sum(dim=1), dim=0)).any()
    # The blocks that are computed are those that the rule, evaluated everywhere, has a pair in:
    # torch's own count, but for roles, which the blocks do not look at.
    full = create_block_mask(block.mask_mod, rows, None, width, width, device="cpu")
    computed, needed = block.to_dense() > 0, full.to_dense() > 0
    assert not (needed & ~computed).any()
    if len(visibility) == 1:
        assert torch.equal(needed, computed)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("visibility", [FULL, VISIBILITY])
def test_flex_attention_equals_sdpa(visibility):
    packed, _ = pack(inputs_of(LENGTHS), visibility=visibility, width=128, layout=Layout.FIXED)
    generator = torch.Generator().manual_seed(1)
    q, k, v = torch.randn(3, len(packed.groups), 2, 128, 16, generator=generator)
    try:
        with torch.no_grad():
            got = flex_attention(q, k, v, block_mask=block_mask(packed))
    except (RuntimeError, NotImplementedError) as error:
        pytest.skip(f"this torch has no FlexAttention on the CPU: {error}")
    want = scaled_dot_product_attention(q, k, v, attn_mask=dense_mask(packed))
    useful = packed.groups > 0
    gap = (got - want).transpose(1, 2)[useful].abs().max()
    assert float(gap) < 1e-5


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("model_type", list(MODELS))
def test_packed_equals_each_input_alone_in_transformers(model_type, layout):
    """The oracle: transformers' plain attention, one input at a time, no mask of ours."""
    encoder = model(model_type)
    inputs = inputs_of(LENGTHS)
    packed, places = pack(inputs, layout=layout)
    assert len(packed.groups) < len(inputs)
    config = deepcopy(encoder.mlm.config)  # models share theirs, and the next line changes it
    plain = AutoModelForMaskedLM.from_config(config, attn_implementation="eager")
    plain.load_state_dict(encoder.mlm.state_dict())
    plain.eval()
    with torch.no_grad():
        vectors = encoder.vectors(replace(packed, languages=None))
        first = 0
        for one in inputs:
            here = torch.from_numpy(places[first : first + len(one.tokens)])
            first += len(one.tokens)
            ids = torch.from_numpy(one.tokens.astype(np.int64))[None]
            logits = plain(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
            assert torch.allclose(encoder.logits(vectors[here]), logits, atol=1e-5)


@pytest.mark.parametrize("visibility", [FULL, VISIBILITY])
@pytest.mark.parametrize("model_type", list(MODELS))
def test_packed_equals_each_input_in_a_row_of_its_own(model_type, visibility):
    encoder = model(model_type)
    inputs = inputs_of(LENGTHS)
    packed, places = pack(inputs, visibility=visibility)
    with torch.no_grad():
        vectors, first = encoder.vectors(packed), 0
        for one in inputs:
            alone, own = pack([one], visibility=visibility)
            here = places[first : first + len(one.tokens)]
            first += len(one.tokens)
            assert torch.allclose(vectors[here], encoder.vectors(alone)[own], atol=1e-5)


@pytest.mark.parametrize("model_type", list(MODELS))
def test_every_rule_makes_a_difference(model_type):
    """So that the tests above can fail: roles, languages and windows all change the vectors."""
    encoder = model(model_type)
    packed, places = pack(inputs_of(LENGTHS))
    roled, _ = pack(inputs_of(LENGTHS), visibility=VISIBILITY)
    with torch.no_grad():
        full = encoder.vectors(packed)[places]
        for other in (roled, replace(packed, languages=None)):
            assert (encoder.vectors(other)[places] - full).abs().max() > 1e-3
        if model_type == "modernbert":
            assert set(encoder.mlm.config.layer_types) == {"full_attention", "sliding_attention"}
            assert encoder.mlm.config.sliding_window == WINDOW < max(LENGTHS)
            seen = encoder._visible(packed)["attention_mask"]
            assert seen["sliding_attention"].sum() < seen["full_attention"].sum()


def one_by_one(query, key, value, begins, ends, longest_query, longest_key):
    """What torch's kernel of sequences one behind the other computes, which no CPU has."""
    assert torch.equal(begins, ends)
    bounds = begins.tolist()
    assert bounds[0] == 0
    assert bounds[-1] == len(query)
    assert max(b - a for a, b in itertools.pairwise(bounds)) <= longest_query == longest_key
    parts = [
        scaled_dot_product_attention(*(x[a:b].transpose(0, 1) for x in (query, key, value)))
        for a, b in itertools.pairwise(bounds)
    ]
    return torch.cat(parts, dim=1).transpose(0, 1)


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta"])
def test_sequences_one_behind_the_other_equal_a_dense_mask(model_type, monkeypatch):
    dense = model(model_type)
    flex = Encoder(deepcopy(dense.mlm), ("ar", "en"), flex=True).eval()
    flex.load_state_dict(dense.state_dict())
    monkeypatch.setattr(attention, "varlen_attn", one_by_one)
    monkeypatch.setattr(encoder_module, "has_varlen", lambda packed: True)
    found = {}
    for name, encoder, layout in (("dense", dense, Layout.NARROW), ("flex", flex, Layout.ONE_ROW)):
        packed, places = pack(inputs_of(LENGTHS), layout=layout, width=256)
        encoder.zero_grad()
        vectors = encoder.vectors(packed)[places]
        vectors.square().sum().backward()
        found[name] = vectors.detach(), encoder.table.grad.clone()
    for mine, expected in zip(found["flex"], found["dense"]):
        assert torch.allclose(mine, expected, atol=1e-4)


def test_varlen_is_for_one_role_in_one_row_in_half_precision_on_a_gpu():
    one_row, _ = pack(inputs_of(LENGTHS), layout=Layout.ONE_ROW, width=128)
    assert not has_varlen(one_row)  # on a CPU
    assert one_row.boundaries is not None
    assert pack(inputs_of(LENGTHS))[0].boundaries is None
