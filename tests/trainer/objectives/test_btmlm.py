"""BTMLM: pseudo tokens as they are, only the source predicted."""

import numpy as np
import pyarrow as pa

from bitextile.trainer.objectives.btmlm import Btmlm
from bitextile.trainer.objectives.tlm import Tlm


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


def test_generated_bytes_of_a_character_are_cut_together(rows, byte_tokenizer):
    """Three bytes each, and a family of 18, which is one cluster."""
    tokens = [f"<0x{byte:02X}>" for byte in ("☃" * 9 + "👨\u200d👩\u200d👧" + "☃" * 9).encode()]
    for length in range(30, 60):
        (example,) = Btmlm(length).examples(
            pseudo(rows, [tokens]), np.zeros(1, int), byte_tokenizer
        )
        (pair,) = example.inputs
        kept = pair.tokens[pair.sides == 1][:-1].tolist()
        decoded = byte_tokenizer.pretrained.backend_tokenizer.decode(kept)
        assert decoded.count("☃") * 3 + 18 * ("👨\u200d👩\u200d👧" in decoded) == len(kept)
        assert "\ufffd" not in decoded
