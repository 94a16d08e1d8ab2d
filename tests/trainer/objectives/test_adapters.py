"""What each objective makes of a row."""

import numpy as np
import pytest

from bitextile.schema.dataset import open_dataset
from bitextile.trainer.data.tokens import load_coder
from bitextile.trainer.objectives.mlm import Mlm
from bitextile.trainer.objectives.objective import list_slices, records
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.weam import Weam


@pytest.fixture(scope="module")
def coder(tokenizer_folder):
    return load_coder(tokenizer_folder)


def text(coder, example) -> str:
    return (
        coder.tokenizer.decode(example.tokens[example.maskable].tolist()).replace("▁", " ").strip()
    )


def rows(datasets, kind, n=10):
    return open_dataset(datasets[kind]).table().slice(0, n).combine_chunks()


def squeezed(string: str) -> str:
    return string.replace(" ", "")


def decoded(coder, objective, table, epoch=0) -> list[str]:
    examples = objective.examples(table, np.full(len(table), epoch), coder)
    return [squeezed(text(coder, e)) for e in examples]


def test_mlm_reads_mono(coder, datasets):
    table = rows(datasets, "mono")
    assert decoded(coder, Mlm(64), table) == [squeezed(t) for t in table["text"].to_pylist()]


def test_mlm_takes_the_sides_of_a_pair_by_turns(coder, datasets):
    table = rows(datasets, "pairs", 40)
    first, second, third = (decoded(coder, Mlm(64), table, epoch) for epoch in range(3))
    sides = list(zip(*([squeezed(t) for t in table[c].to_pylist()] for c in ("src", "tgt"))))
    assert [{a, b} for a, b in zip(first, second)] == [set(pair) for pair in sides]
    assert first == third
    assert 8 < sum(a == src for a, (src, _) in zip(first, sides)) < 32


def test_tlm_reads_both_sides_and_the_exchanged_ones(coder, datasets):
    table = rows(datasets, "aligned")
    pairs = zip(*(table[c].to_pylist() for c in ("src", "tgt")))
    assert decoded(coder, Tlm(64), table) == [squeezed(s + t) for s, t in pairs]
    table = rows(datasets, "exchange")
    pairs = zip(*(table[c].to_pylist() for c in ("src_exchanged", "tgt_exchanged")))
    assert decoded(coder, Tlm(64), table) == [squeezed(s + t) for s, t in pairs]


def test_weam_reads_the_original_pair_of_an_exchange_row(coder, datasets):
    aligned, exchanged = rows(datasets, "aligned"), rows(datasets, "exchange")
    objective = Weam(64)
    a = objective.examples(aligned, np.zeros(10, np.int64), coder)
    b = objective.examples(exchanged, np.zeros(10, np.int64), coder)
    for x, y in zip(a, b):
        assert x.tokens.tolist() == y.tokens.tolist()
        assert x.links.rows.tolist() == y.links.rows.tolist()
        assert y.record == f"{x.record}/0"
        assert x.key != y.key


@pytest.mark.parametrize("objective", [Tlm(16), Weam(16)])
def test_long_pairs_are_cut_and_counted(coder, datasets, objective):
    examples = objective.examples(rows(datasets, "aligned", 40), np.zeros(40, np.int64), coder)
    whole = Tlm(512).examples(rows(datasets, "aligned", 40), np.zeros(40, np.int64), coder)
    for e, w in zip(examples, whole):
        assert len(e.tokens) <= 16
        assert len(e.tokens) + e.n_cut == len(w.tokens)
        assert e.tokens[-1] == coder.sep
    assert sum(e.n_cut > 0 for e in examples) > 20


def test_columns_exist_in_every_kind_that_is_accepted():
    for objective in (Mlm(64), Tlm(64), Weam(64)):
        for kind in objective.kinds:
            assert set(objective.columns(kind)) <= set(kind.schema.names)


def test_list_slices_equals_to_pylist(datasets):
    table = rows(datasets, "aligned", 20).slice(3, 9).combine_chunks()
    sliced = list_slices(table["links"], ("src", "tgt"))
    assert [s.tolist() for s in sliced] == [
        [[link["src"], link["tgt"]] for link in row] for row in table["links"].to_pylist()
    ]


def test_records_name_variants(datasets):
    ids, keys = records(rows(datasets, "exchange", 5))
    assert all(i.endswith("/0") for i in ids)
    assert len(set(keys.tolist())) == 5
