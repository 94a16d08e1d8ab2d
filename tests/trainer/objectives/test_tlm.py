"""TLM: both sides in one input, of exchange the exchanged ones."""

import numpy as np
import pytest
import torch

from bitextile.trainer.model.encoder import first_position
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.train.pretrain import open_pretraining
from toy_examples import decoded, squeezed


def test_tlm_reads_both_sides_and_the_exchanged_ones(tokenizer, rows):
    table = rows("aligned")
    pairs = zip(*(table[c].to_pylist() for c in ("src", "tgt")))
    assert decoded(tokenizer, Tlm(64), table) == [squeezed(s + t) for s, t in pairs]
    table = rows("exchange")
    pairs = zip(*(table[c].to_pylist() for c in ("src_exchanged", "tgt_exchanged")))
    assert decoded(tokenizer, Tlm(64), table) == [squeezed(s + t) for s, t in pairs]


def xlm_positions(tokens: list[int], sep: int) -> list[int]:
    """As XLM's concat_batches does it: behind the first sentence its length is taken off."""
    positions = list(range(len(tokens)))
    l1 = tokens.index(sep) + 1
    return [p - l1 if p >= l1 else p for p in positions]


@pytest.mark.parametrize("reset", [False, True])
def test_positions_start_again_in_the_second_sentence(config, tokenizer, rows, collation, reset):
    """One pair at a time through transformers, with positions by XLM's own formula."""
    entry = {"objective": "tlm", "dataset": config().data[0].dataset, "reset_positions": reset}
    state = open_pretraining(config(data=[entry]))
    objective, encoder = state.entries[0].objective, state.encoder.eval()
    assert objective.reset_positions is reset
    examples = objective.examples(rows("aligned", 6), np.zeros(6, np.int64), tokenizer)
    batch = objective.collate(examples, collation(tokenizer, width=64))
    packed, total, count = batch.packed, 0.0, 0
    targets = dict(zip(batch.predicted.tolist(), batch.targets.tolist()))
    for example, start in zip(examples, packed.starts.tolist()):
        (pair,) = example.inputs
        n = len(pair.tokens)
        positions = list(range(n))
        if reset:
            positions = xlm_positions(pair.tokens.tolist(), tokenizer.sep)
        assert packed.positions.flatten()[start : start + n].tolist() == positions
        shown = packed.inputs.flatten()[None, start : start + n]
        ids = torch.tensor([positions]) + first_position(encoder.mlm.base_model)
        with torch.no_grad():
            logits = encoder.mlm(input_ids=shown, position_ids=ids).logits[0]
        for place in range(n):
            if (target := targets.get(start + place)) is not None:
                total -= float(logits[place].log_softmax(-1)[target])
                count += 1
    with torch.no_grad():
        loss = objective.losses(encoder, None, batch)["tlm"]
    assert int(loss.weight) == count > 20
    assert float(loss.total) == pytest.approx(total, rel=1e-5)
