"""TLM: both sides in one input, of exchange the exchanged ones."""

import numpy as np

from bitextile.trainer.objectives.tlm import Tlm


def text(tokenizer, one) -> str:
    return tokenizer.pretrained.decode(one.tokens[one.maskable].tolist()).replace("▁", " ").strip()


def squeezed(string: str) -> str:
    return string.replace(" ", "")


def decoded(tokenizer, objective, table, epoch=0) -> list[str]:
    examples = objective.examples(table, np.full(len(table), epoch), tokenizer)
    return [squeezed("".join(text(tokenizer, i) for i in e.inputs)) for e in examples]


def test_tlm_reads_both_sides_and_the_exchanged_ones(tokenizer, rows):
    table = rows("aligned")
    pairs = zip(*(table[c].to_pylist() for c in ("src", "tgt")))
    assert decoded(tokenizer, Tlm(64), table) == [squeezed(s + t) for s, t in pairs]
    table = rows("exchange")
    pairs = zip(*(table[c].to_pylist() for c in ("src_exchanged", "tgt_exchanged")))
    assert decoded(tokenizer, Tlm(64), table) == [squeezed(s + t) for s, t in pairs]
