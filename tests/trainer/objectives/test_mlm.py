"""MLM, TLM and BTMLM: - sum over M of log p, by a naive loop, by hand, by finite differences."""

import numpy as np
import pytest
import torch

from bitextile.trainer.data.examples import Example, Input
from bitextile.trainer.losses import masked_lm
from bitextile.trainer.objectives.btmlm import Btmlm
from bitextile.trainer.objectives.mlm import MAX_PARTS, Mlm
from bitextile.trainer.objectives.tlm import Tlm
from toy_examples import decoded, squeezed

OBJECTIVES = {"mlm": (Mlm(24), "mono"), "tlm": (Tlm(24), "pairs"), "btmlm": (Btmlm(24), "pseudo")}
each = pytest.mark.parametrize("name", list(OBJECTIVES))


@each
def test_the_loss_equals_the_naive_loop(name, batch_of, look, random_encoder, word_tokenizer):
    """Each input alone through transformers, each prediction by its definition."""
    objective, kind = OBJECTIVES[name]
    batch = batch_of(objective, kind, 12)
    encoder = random_encoder(word_tokenizer.size)
    total, weight = 0.0, 0
    for one in look(batch):
        with torch.no_grad():
            scores = encoder.mlm(input_ids=torch.tensor([one.shown])).logits[0].double()
        for place, target in zip(one.predicted, one.targets):
            partition = sum(np.exp(float(s)) for s in scores[place])
            total -= float(scores[place, target]) - np.log(partition)
            weight += 1
    (part,) = objective.losses(encoder, None, batch).values()
    assert part.total.item() == pytest.approx(total, rel=1e-4)
    assert int(part.weight) == weight > 10


@each
def test_gradcheck(name, batch_of, table, word_tokenizer):
    objective, kind = OBJECTIVES[name]
    batch = batch_of(objective, kind, 2)
    encoder = table(word_tokenizer.size, width=3)

    def total(vector, head):
        vectors = vector[batch.packed.inputs].flatten(0, 1)[batch.predicted]
        return masked_lm(vectors @ head.T, batch.targets).total

    (part,) = objective.losses(encoder, None, batch).values()
    assert torch.equal(part.total, total(encoder.vector, encoder.head))
    assert torch.autograd.gradcheck(total, (encoder.vector, encoder.head), fast_mode=True)


def test_a_batch_by_hand(table, word_tokenizer, collation):
    tokens = np.asarray([0, 5, 6, 2], np.int32)
    one = Input(tokens, (tokens > 4), np.zeros(4, np.int8), ("en",))
    batch = Mlm(24).collate(
        [Example("r", np.uint64(3), 0, (one,))], collation(word_tokenizer, rate=1.0, masked=1.0)
    )
    assert batch.packed.inputs[0, :4].tolist() == [0, 4, 4, 2]
    encoder = table(word_tokenizer.size)
    log_p = encoder.logits(encoder.vector[4]).log_softmax(-1).detach()
    part = Mlm(24).losses(encoder, None, batch)["mlm"]
    assert part.total.item() == pytest.approx(-float(log_p[5] + log_p[6]))
    assert part.mean().item() == pytest.approx(part.total.item() / 2)


def test_mlm_reads_mono(tokenizer, rows):
    table = rows("mono")
    assert decoded(tokenizer, Mlm(64), table) == [squeezed(t) for t in table["text"].to_pylist()]


def test_mlm_takes_the_sides_of_a_pair_by_turns(tokenizer, rows):
    table = rows("pairs", 40)
    first, second, third = (decoded(tokenizer, Mlm(64), table, epoch) for epoch in range(3))
    sides = list(zip(*([squeezed(t) for t in table[c].to_pylist()] for c in ("src", "tgt"))))
    assert [{a, b} for a, b in zip(first, second)] == [set(pair) for pair in sides]
    assert first == third
    # Nearly four sigma of a fair choice on either side of 20.
    assert 8 < sum(a == src for a, (src, _) in zip(first, sides)) < 32


@pytest.mark.parametrize("length", [8, 16, 24])
def test_a_long_text_is_split_and_nothing_is_lost(tokenizer, rows, length):
    whole = Mlm(512).examples(rows("mono", 60), np.zeros(60, np.int64), tokenizer)
    split = Mlm(length).examples(rows("mono", 60), np.zeros(60, np.int64), tokenizer)
    for e, w in zip(split, whole):
        inside = [token for i in e.inputs for token in i.tokens[1:-1].tolist()]
        assert inside == w.inputs[0].tokens[1:-1].tolist()
        assert all(i.tokens[0] == tokenizer.cls and i.tokens[-1] == tokenizer.sep for i in e.inputs)
        assert all(2 < len(i.tokens) <= length for i in e.inputs)
        assert e.n_truncated == 0
        assert e.n_tokens == w.n_tokens + 2 * (len(e.inputs) - 1)
    assert any(len(e.inputs) > 1 for e in split)


def test_a_split_text_is_masked_as_the_whole_one(tokenizer, rows, collation, look):
    def inside(max_length):
        examples = Mlm(max_length).examples(rows("mono", 60), np.zeros(60, np.int64), tokenizer)
        seen = look(Mlm(max_length).collate(examples, collation(tokenizer, width=80)))
        shown = [token for one in seen for token in one.shown[1:-1]]
        return shown, [target for one in seen for target in one.targets]

    assert inside(12) == inside(80)


def test_what_no_input_can_hold_is_counted(tokenizer, rows):
    table = rows("mono", 1)
    long = table.set_column(
        table.schema.get_field_index("text"), table.schema.field("text"), [["the red dog " * 99]]
    )
    (whole,) = Mlm(2048).examples(long, np.zeros(1, int), tokenizer)
    (split,) = Mlm(10).examples(long, np.zeros(1, int), tokenizer)
    assert len(split.inputs) == MAX_PARTS
    kept = sum(len(i.tokens) - 2 for i in split.inputs)
    assert kept + split.n_truncated == len(whole.inputs[0].tokens) - 2
    assert split.n_truncated > 0
