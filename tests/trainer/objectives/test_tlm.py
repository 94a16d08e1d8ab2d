"""TLM: both sides in one input, of exchange the exchanged ones."""

from bitextile.trainer.objectives.tlm import Tlm
from toy_examples import decoded, squeezed


def test_tlm_reads_both_sides_and_the_exchanged_ones(tokenizer, rows):
    table = rows("aligned")
    pairs = zip(*(table[c].to_pylist() for c in ("src", "tgt")))
    assert decoded(tokenizer, Tlm(64), table) == [squeezed(s + t) for s, t in pairs]
    table = rows("exchange")
    pairs = zip(*(table[c].to_pylist() for c in ("src_exchanged", "tgt_exchanged")))
    assert decoded(tokenizer, Tlm(64), table) == [squeezed(s + t) for s, t in pairs]
