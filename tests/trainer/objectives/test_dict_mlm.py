"""DICT-MLM: which positions are translated, how often, to what, and what stays as in MLM."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from bitextile.kernels.text.segment import segmenter_for
from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.tokens import Encoding
from bitextile.trainer.data.words import one_piece_words, word_spans
from bitextile.trainer.objectives.config import DictMlmSettings
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


def one_entry(tokenizer) -> TokenEntries:
    """dog (en) -> كلب (ar)"""
    translation = np.asarray([tokenizer.vocabulary["كلب"]])
    return TokenEntries({("en", "dog"): 0}, translation, ("ar",), np.asarray([0, 1]), np.ones(1))


def may_become(entries: TokenEntries, tokenizer) -> dict[int, dict[int, float]]:
    ids = tokenizer.vocabulary
    table = {}
    for (_, word), row in entries.rows.items():
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
    few = one_entry(word_tokenizer)
    mine, mlm = both("from_synonym", rate=1.0, epochs=10, known=few)
    originals = Counter(
        original
        for one, plain in zip(mine, mlm)
        for _, original, _ in translated(one, plain, "from_synonym")
    )
    assert set(originals) == {word_tokenizer.vocabulary["dog"]}
    assert originals.total() > 20


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
def test_only_whole_words_are_looked_up(word_tokenizer, text, pieces, want):
    words = {"the": 0, "dog": 1, "كلب": 2, "क": 3, "cafe": 4, "می": 5}
    ids = np.full(len(pieces), word_tokenizer.ordinary[0], np.int32)
    side = Encoding(ids, np.asarray(pieces, np.int32).reshape(-1, 2))
    found = one_piece_words(word_tokenizer, side, text, word_spans([("en", text)])[0])
    rows = {
        place: words.get(text[slice(*pieces[place])].strip().lower(), -1)
        for place in found.values()
    }
    assert [rows.get(k, -1) for k in range(len(pieces))] == want


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
            want += [entries.row("en", word)] if n == 1 else [-1] * n
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
    entries = one_entry(word_tokenizer)
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


def mono(*texts: tuple[str, str]) -> pa.Table:
    ids = [f"{n:032x}" for n in range(len(texts))]
    langs, written = zip(*texts)
    return pa.table({"text_id": ids, "lang": list(langs), "text": list(written)})


@pytest.mark.parametrize(
    ("lang", "text", "listed", "token"),
    [
        ("zh", "dog看见房子", "房子", "房子"),
        ("th", "คนเห็นคน", "เห็น", "เห็น"),
        ("ja", "房子、狗。", "狗", "狗"),
        ("en", "a red dog.", "dog", "▁dog"),
    ],
)
def test_words_of_any_script_are_found(
    tmp_path, byte_tokenizer, write_lexicon, lang, text, listed, token
):
    path = write_lexicon(tmp_path / "lexicon", [(listed, "am", 1.0, 1.0)], (lang, "fi"))
    entries = token_entries(path, byte_tokenizer, fraction=1.0, seed=0)
    (example,) = DictMlm(64, entries).examples(mono((lang, text)), np.zeros(1, int), byte_tokenizer)
    tokens = byte_tokenizer.pretrained.convert_ids_to_tokens(example.inputs[0].tokens.tolist())
    found = {tokens[k] for k in np.flatnonzero(example.translations >= 0)}
    assert found <= {token}
    # Without its dictionary a segmenter takes characters for words, and finds no word of two.
    assert found or segmenter_for(lang).name == "characters"


def test_a_word_is_translated_in_its_own_language_only(
    tmp_path, byte_tokenizer, write_lexicon, collation, look
):
    """`am` is a word of both; only the German one is in the dictionary."""
    path = write_lexicon(tmp_path / "lexicon", [("am", "red", 1.0, 1.0)], ("de", "en"))
    entries = token_entries(path, byte_tokenizer, fraction=1.0, seed=0)
    table = mono(("de", "am am am"), ("en", "am am am"), ("de-AT", "Am am am"), ("fr", "am am am"))
    objective = DictMlm(24, entries, rate=1.0)
    examples = objective.examples(table, np.zeros(4, int), byte_tokenizer)
    seen = look(objective.collate(examples, collation(byte_tokenizer, rate=1.0)))
    red = byte_tokenizer.vocabulary["▁red"]
    assert [one.targets.count(red) for one in seen] == [3, 0, 3, 0]


@each
@pytest.mark.parametrize("swap", [False, True])
def test_a_translated_position_gets_the_language_of_the_translation(
    variant, swap, word_tokenizer, collation
):
    objective = DictMlm(24, one_entry(word_tokenizer), variant, 1.0, swap)
    assert objective.languages == (("ar",) if swap else ())
    examples = objective.examples(mono(("en", "red dog red")), np.zeros(1, int), word_tokenizer)
    chosen = collation(word_tokenizer, rate=1.0, languages={"ar": 5, "en": 7})
    batch = objective.collate(examples, chosen)
    dog = 2  # behind [CLS] red
    expected = [7, 7, 5 if swap else 7, 7, 7]
    assert batch.packed.languages.flatten().tolist()[:5] == expected
    assert objective.collate(examples, collation(word_tokenizer)).packed.languages is None
    assert len(batch.targets) == 3
    assert dog in batch.predicted


@pytest.mark.parametrize("n_rows", [8, 21, None])
def test_random_tokens_come_from_the_first_rows(word_tokenizer, collation, rows, entries, n_rows):
    objective = DictMlm(24, entries, rate=0.0, random_rows=n_rows)
    examples = objective.examples(rows("mono", 60), np.zeros(60, int), word_tokenizer)
    batch = objective.collate(examples, collation(word_tokenizer, rate=0.9, masked=0.0, random=1.0))
    shown = set(batch.packed.inputs.flatten()[batch.predicted].tolist())
    n_tokens = word_tokenizer.size if n_rows is None else n_rows
    assert shown == set(range(5, n_tokens))  # behind the special ones


def test_rows_that_are_all_special_are_refused(datasets, word_tokenizer):
    settings = DictMlmSettings(
        objective="dict_mlm", dataset="d", lexicon=datasets["lexicon"], random_rows=5
    )
    with pytest.raises(ConfigError, match=r"random_rows is 5, but the first 5 .* special; give"):
        DictMlm.build(settings, word_tokenizer, max_length=24, seed=0)
