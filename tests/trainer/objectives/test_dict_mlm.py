"""DICT-MLM: which positions are translated, how often, to what, and what stays as in MLM."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from bitextile.trainer.data.tokens import Encoding
from bitextile.trainer.objectives.dict_mlm import DictMlm
from bitextile.trainer.objectives.dictionary import TokenEntries, token_entries
from bitextile.trainer.objectives.mlm import Mlm

VARIANTS = ("predict_synonym", "from_synonym")
each = pytest.mark.parametrize("variant", VARIANTS)


@pytest.fixture(scope="module")
def entries(datasets, word_tokenizer) -> TokenEntries:
    return token_entries(datasets["lexicon"], word_tokenizer, fraction=1.0, seed=0)


@pytest.fixture(scope="module")
def both(entries, rows, word_tokenizer, collation, look):
    """Makes (dict_mlm, mlm), each a list of what their batches hold of the same inputs."""

    def make(variant, *, rate=0.5, epochs=40, known=entries):
        table, found = rows("mono", 60), ([], [])
        for epoch in range(epochs):
            for seen, objective in zip(
                found, (DictMlm(24, known, variant=variant, rate=rate), Mlm(24))
            ):
                examples = objective.examples(table, np.full(60, epoch), word_tokenizer)
                seen += look(objective.collate(examples, collation(word_tokenizer)))
        return found

    return make


def translated(one, plain, variant) -> list[tuple[int, int, int]]:
    """(place, original, translation) of each predicted position that differs from MLM's."""
    mine, theirs = (
        (s.targets if variant == "predict_synonym" else [s.shown[k] for k in s.predicted])
        for s in (one, plain)
    )
    return [
        (k, original, new)
        for k, new, old, original in zip(plain.predicted, mine, theirs, plain.targets)
        if new != old
    ]


def may_become(entries: TokenEntries, tokenizer) -> dict[int, dict[int, float]]:
    ids = tokenizer.vocabulary
    table = {}
    for word, row in entries.rows.items():
        at = slice(entries.starts[row], entries.starts[row + 1])
        shares = np.diff(entries.cumulative[at], prepend=0.0)
        table[ids[word]] = dict(zip(entries.translations[at].tolist(), shares.tolist()))
    return table


@each
def test_nothing_else_changes(both, variant):
    """The same positions as MLM, and what is not translated is as in MLM."""
    mine, mlm = both(variant, epochs=4)
    for one, plain in zip(mine, mlm, strict=True):
        assert one.predicted == plain.predicted
        if variant == "predict_synonym":
            assert one.shown == plain.shown
        else:
            assert one.targets == plain.targets
            places = {k for k, _, _ in translated(one, plain, variant)}
            for k, (a, b) in enumerate(zip(one.shown, plain.shown)):
                assert a == b or k in places
                assert k in plain.predicted or a == b


@each
@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_the_rate_lies_within_three_sigma(both, variant, rate, entries, word_tokenizer):
    mine, mlm = both(variant, rate=rate)
    pairs = list(zip(mine, mlm))
    n = sum(len(plain.predicted) for plain in mlm)
    hits = sum(len(translated(one, plain, variant)) for one, plain in pairs)
    # A masked input or a kept one never equals a translation; a random one does in 1 of 32 cases.
    assert n > 3000
    expected = rate if variant == "predict_synonym" else rate * (1 - 0.1 / 32)
    assert abs(hits - expected * n) <= 3 * (n * expected * (1 - expected)) ** 0.5


@each
@pytest.mark.parametrize("rate", [0.5, 1.0])
def test_translations_come_by_their_probability(both, variant, rate, entries, word_tokenizer):
    """At any rate: which translation it is does not hang on whether there is one."""
    table = may_become(entries, word_tokenizer)
    mine, mlm = both(variant, rate=rate, epochs=60)
    counts: dict[int, Counter] = {}
    for one, plain in zip(mine, mlm):
        for _, original, new in translated(one, plain, variant):
            counts.setdefault(original, Counter())[new] += 1
    several = 0
    for original, found in counts.items():
        assert set(found) <= set(table[original])
        n = found.total()
        for new, share in table[original].items():
            sigma = (n * share * (1 - share)) ** 0.5
            assert abs(found[new] - n * share) <= 4 * sigma + 0.02 * n
        several += len(found) > 1
    # All sixteen words of the sentences; every fourth has two translations.
    assert len(counts) == 16
    assert several == 4


def test_both_variants_translate_the_same_positions_alike(both):
    synonym, mlm = both("predict_synonym", epochs=3)
    source, _ = both("from_synonym", epochs=3)
    for a, b, plain in zip(synonym, source, mlm):
        of_b = {(k, new) for k, _, new in translated(b, plain, "from_synonym")}
        of_a = {(k, new) for k, _, new in translated(a, plain, "predict_synonym")}
        # Not equal: where masking shows a random token that happens to be the translation,
        # `from_synonym` changes nothing.
        assert of_b <= of_a


def test_a_word_outside_of_the_dictionary_is_left_alone(both, entries, word_tokenizer):
    few = TokenEntries(
        {"dog": 0}, np.asarray([word_tokenizer.vocabulary["كلب"]]), np.asarray([0, 1]), np.ones(1)
    )
    mine, mlm = both("from_synonym", rate=1.0, epochs=10, known=few)
    originals = Counter(
        original
        for one, plain in zip(mine, mlm)
        for _, original, _ in translated(one, plain, "from_synonym")
    )
    assert set(originals) == {word_tokenizer.vocabulary["dog"]}
    assert originals.total() > 20


def of_pieces(text: str, *pieces: tuple[int, int]) -> tuple[Encoding, str]:
    ids = np.arange(len(pieces), dtype=np.int32)
    return Encoding(ids, np.asarray(pieces, np.int32).reshape(-1, 2)), text


@pytest.mark.parametrize(
    ("text", "pieces", "want"),
    [
        ("the dog", [(0, 3), (4, 7)], [0, 1]),
        ("the dog", [(0, 3), (3, 7)], [0, 1]),  # the space belongs to the piece, as in Metaspace
        ("The DOG.", [(0, 3), (3, 7), (7, 8)], [0, 1, -1]),
        ("hotdog", [(0, 3), (3, 6)], [-1, -1]),
        ("dogs dog-s", [(0, 3), (3, 4), (4, 8), (8, 9), (9, 10)], [-1, -1, 1, -1, -1]),
        ("كلب كلبة", [(0, 3), (3, 7), (7, 8)], [2, -1, -1]),
        # A combining mark or a joiner goes on with the word, though neither is a letter.
        ("का क", [(0, 1), (1, 2), (2, 4)], [-1, -1, 3]),
        ("cafe\u0301 cafe", [(0, 4), (4, 5), (5, 10)], [-1, -1, 4]),
        ("می\u200cخواهم می", [(0, 2), (2, 3), (3, 8), (8, 11)], [-1, -1, -1, 5]),
        ("की क", [(0, 1), (1, 2), (2, 3), (3, 4)], [-1, -1, -1, 3]),
        ("dog\u200bthe", [(0, 3), (3, 4), (4, 7)], [1, -1, 0]),
        ("", [], []),
        ("dog", [(0, 0), (0, 3)], [-1, 1]),
    ],
)
def test_only_whole_words_are_looked_up(text, pieces, want):
    words = {"the": 0, "dog": 1, "كلب": 2, "क": 3, "cafe": 4, "می": 5}
    none = np.zeros(0, np.int64)
    objective = DictMlm(24, TokenEntries(words, none, none, np.zeros(0)))
    assert objective._rows(*of_pieces(text, *pieces)).tolist() == want


def test_words_of_several_subwords_take_no_part(datasets, tokenizer, rows, collation):
    entries = token_entries(datasets["lexicon"], tokenizer, fraction=1.0, seed=0)
    objective = DictMlm(64, entries)
    table = rows("mono", 60)
    for example, text in zip(
        objective.examples(table, np.zeros(60, int), tokenizer), table["text"].to_pylist()
    ):
        want = [-1]
        for word in text.split():
            n = len(tokenizer.encode([word])[0].ids)
            want += [entries.rows.get(word, -1)] if n == 1 else [-1] * n
        assert example.translations.tolist() == [*want, -1]


def test_a_long_text_is_cut_at_a_word(rows, entries, word_tokenizer):
    table = rows("mono", 60)
    cut = DictMlm(8, entries).examples(table, np.zeros(60, int), word_tokenizer)
    whole = Mlm(64).examples(table, np.zeros(60, int), word_tokenizer)
    for e, w in zip(cut, whole):
        (one,), (all_of,) = e.inputs, w.inputs
        assert len(one.tokens) <= 8
        assert len(one.tokens) + e.n_truncated == len(all_of.tokens)
        assert len(e.translations) == len(one.tokens)
    assert any(e.n_truncated for e in cut)


def test_a_pair_gives_the_side_that_mlm_reads(rows, entries, word_tokenizer):
    table = rows("pairs", 20)
    for epoch in (0, 1):
        epochs = np.full(20, epoch)
        mine = DictMlm(24, entries).examples(table, epochs, word_tokenizer)
        for e, w in zip(mine, Mlm(24).examples(table, epochs, word_tokenizer)):
            assert e.inputs[0].tokens.tolist() == w.inputs[0].tokens.tolist()
            assert (e.translations[1:-1] >= 0).all()


@each
def test_a_batch_by_hand(variant, word_tokenizer, collation, table, look):
    """One word, selected and translated for certain."""
    ids = word_tokenizer.vocabulary
    entries = TokenEntries({"dog": 0}, np.asarray([ids["كلب"]]), np.asarray([0, 1]), np.ones(1))
    row = pa.table({"text_id": ["0" * 32], "lang": ["en"], "text": ["dog"]})
    objective = DictMlm(24, entries, variant=variant, rate=1.0)
    batch = objective.collate(
        objective.examples(row, np.zeros(1, int), word_tokenizer),
        collation(word_tokenizer, rate=1.0, masked=1.0),
    )
    (one,) = look(batch)
    wanted = ("كلب", "<mask>") if variant == "predict_synonym" else ("dog", "كلب")
    target, shown = (ids[w] for w in wanted)
    assert (one.predicted, one.targets, one.shown) == ([1], [target], [0, shown, 2])
    encoder = table(word_tokenizer.size)
    want = -encoder.logits(encoder.vector[shown]).log_softmax(-1)[target]
    part = objective.losses(encoder, None, batch)["dict_mlm"]
    assert part.total.item() == pytest.approx(want.item())
