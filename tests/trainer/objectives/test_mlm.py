"""MLM, TLM and BTMLM: - sum over M of log p, by a naive loop, by hand, by finite differences."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from bitextile.trainer.data.examples import Example, Input
from bitextile.trainer.losses import masked_lm
from bitextile.trainer.objectives.btmlm import Btmlm
from bitextile.trainer.objectives.mlm import Mlm
from bitextile.trainer.objectives.tlm import Tlm

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


def pseudo(rows, tokens: list[list[str]]) -> pa.Table:
    table = rows("pseudo", len(tokens))
    place = table.schema.get_field_index("tgt_tokens")
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array(tokens, field.type))


def test_btmlm_predicts_source_words_only(rows, word_tokenizer, batch_of, look):
    examples = Btmlm(24).examples(rows("pseudo", 20), np.zeros(20, int), word_tokenizer)
    seen = look(batch_of(Btmlm(24), "pseudo", 20, rate=0.9))
    for example, one in zip(examples, seen):
        (pair,) = example.inputs
        of_target = np.flatnonzero(pair.sides == 1)
        assert set(one.predicted) <= set(np.flatnonzero(pair.sides == 0).tolist())
        assert [one.shown[k] for k in of_target] == pair.tokens[of_target].tolist()
        assert one.predicted
        assert not any(one.roles)


def test_btmlm_masks_the_source_as_tlm_does(rows, word_tokenizer, batch_of, look, collation):
    table = rows("pseudo", 20)
    mine = look(batch_of(Btmlm(24), "pseudo", 20))
    tlm = Tlm(24).examples(table, np.zeros(20, int), word_tokenizer)
    for one, both, example in zip(mine, look(Tlm(24).collate(tlm, collation(word_tokenizer))), tlm):
        in_source = [k for k in both.predicted if example.inputs[0].sides[k] == 0]
        assert one.predicted == in_source


def test_generated_tokens_are_taken_as_they_are_where_they_are_known(rows, word_tokenizer):
    table = pseudo(rows, [["كلب", "كلب", "بيت"], ["كلب", "☃"], []])
    taken, foreign, none = Btmlm(24).examples(table, np.zeros(3, int), word_tokenizer)

    def words(example):
        (pair,) = example.inputs
        return word_tokenizer.pretrained.convert_ids_to_tokens(
            pair.tokens[pair.sides == 1][:-1].tolist()
        )

    assert words(taken) == ["كلب", "كلب", "بيت"]
    texts = table["tgt"].to_pylist()
    assert words(foreign) == texts[1].split()
    assert words(none) == texts[2].split()


def test_many_generated_tokens_are_cut_and_counted(rows, word_tokenizer):
    (example,) = Btmlm(16).examples(pseudo(rows, [["كلب"] * 50]), np.zeros(1, int), word_tokenizer)
    (pair,) = example.inputs
    assert len(pair.tokens) == 16
    src = len(word_tokenizer.encode(rows("pseudo", 1)["src"].to_pylist())[0].ids)
    assert 16 + example.n_truncated == 3 + src + 50
