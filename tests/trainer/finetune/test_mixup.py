"""Mixup does what its formula says, word by word, and draws by record alone."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.randomness import hash64
from bitextile.schema.dataset import open_dataset
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import CANDIDATES
from bitextile.trainer.data.tokens import Encoding
from bitextile.trainer.finetune.mixup import (
    Choices,
    Mixup,
    Tokens,
    mixing_of,
    read_choices,
    shares_of,
)


@pytest.fixture(scope="module")
def tokens(tokenizer) -> Tokens:
    return Tokens(tokenizer)


@pytest.fixture(scope="module")
def table(tokenizer) -> torch.Tensor:
    return torch.randn(tokenizer.size, 5, generator=torch.Generator().manual_seed(3)).double()


@settings(deadline=None)  # other processes may keep the processor
@given(data=st.data())
def test_a_batch_is_mixed_as_a_loop_would_mix_it(data):
    n, vocabulary, width = 12, 9, 3
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    embedded = torch.randn(3, 4, width, generator=generator).double()
    table = torch.randn(vocabulary, width, generator=generator).double()
    places = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    shares = [data.draw(st.floats(0.5, 1)) for _ in places]
    ids = [data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=4)) for _ in places]
    raw = [[data.draw(st.floats(0.1, 1)) for _ in i] for i in ids]
    weights = [[w / sum(ws) for w in ws] for ws in raw]
    mixup = Mixup(
        places=torch.tensor(places),
        shares=torch.tensor(shares).double(),
        rows=torch.tensor([row for row, i in enumerate(ids) for _ in i]),
        ids=torch.tensor([i for of_row in ids for i in of_row]),
        weights=torch.tensor([w for of_row in weights for w in of_row]).double(),
    )
    mixed = mixup(embedded, table)
    for place in range(n):
        want = embedded.flatten(0, 1)[place].clone()
        if place in places:
            row = places.index(place)
            other = sum(w * table[i] for w, i in zip(weights[row], ids[row]))
            want = shares[row] * want + (1 - shares[row]) * other
        assert torch.allclose(mixed.flatten(0, 1)[place], want)


def test_the_gradient_reaches_words_and_candidates(table):
    table = table.clone().requires_grad_()
    ones = torch.tensor([0]), torch.tensor([0.75]).double()
    mixup = Mixup(*ones, torch.tensor([0, 0]), torch.tensor([2, 5]), torch.tensor([0.5, 0.5]))
    mixup(table[torch.tensor([[7]])], table).sum().backward()
    used = {int(i): float(table.grad[i, 0]) for i in table.grad[:, 0].nonzero().flatten()}
    assert used == {2: 0.125, 5: 0.125, 7: 0.75}


def keys_of(n: int) -> np.ndarray:
    return hash64(pa.array([stable_id(str(i)) for i in range(n)]))


def test_lambda_is_beta_one_one_folded():
    drawn = shares_of(keys_of(20_000), np.zeros(20_000), seed=1)
    assert drawn.min() >= 0.5
    assert drawn.max() <= 1.0
    # Kolmogorov-Smirnov against the uniform distribution on [0.5, 1]; 1.63 / sqrt(n) is p = 0.01.
    ranks = (np.arange(20_000) + 0.5) / 20_000
    assert np.abs(np.sort(drawn) - (0.5 + ranks / 2)).max() * 2 < 1.63 / 20_000**0.5


@given(st.permutations(range(30)), st.integers(1, 29))
def test_lambda_is_keyed_by_record_and_epoch_alone(order, cut):
    keys, epochs = keys_of(30), np.arange(30) % 3
    whole = shares_of(keys, epochs, seed=1)
    moved = np.asarray(order)
    assert (shares_of(keys[moved], epochs[moved], seed=1) == whole[moved]).all()
    halves = [shares_of(keys[s], epochs[s], seed=1) for s in (slice(cut), slice(cut, None))]
    assert (np.concatenate(halves) == whole).all()
    assert (shares_of(keys, epochs + 1, seed=1) != whole).any()
    assert (shares_of(keys, epochs, seed=2) != whole).any()


WORDS = ["dog", "trees", "skies", "كلب", "house", "birds", "a"]
sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


def choices_row(text: str, chosen: dict[int, list[tuple[str, float]]]) -> dict:
    spans, start = [], 0
    for word in text.split(" "):
        spans.append({"start": start, "end": start + len(word)})
        start += len(word) + 1
    candidates = [
        [{"text": t, "lang": "ar", "score": s} for t, s in chosen.get(i, [])]
        for i in range(len(spans))
    ]
    return {"text_id": "0" * 32, "lang": "en", "text": text, "spans": spans} | {
        "candidates": candidates
    }


def read(write_rows, folder, row: dict, tokens: Tokens) -> Choices | None:
    rows = pa.RecordBatch.from_pylist([row], schema=CANDIDATES.schema)
    path = write_rows(folder, "candidates", rows)
    return read_choices(open_dataset(path), {"0" * 32}, tokens).get("0" * 32)


def slow(tokenizer, table, side: Encoding, text: str, row: dict, share: float) -> torch.Tensor:
    """Each subword by itself, from the characters it stands for."""
    mixed = []
    for token, (start, end) in zip(side.ids.tolist(), side.offsets.tolist()):
        mine = {c for c in range(start, end) if not text[c].isspace()}
        own = table[token]
        spelled = tokenizer.pretrained.backend_tokenizer.decode([token]).strip()
        for span, candidates in zip(row["spans"], row["candidates"]):
            word = set(range(span["start"], span["end"]))
            usable = [c for c in candidates if c["text"] != text[span["start"] : span["end"]]]
            if mine and mine <= word and usable and spelled:
                total = sum(c["score"] for c in usable)
                other = torch.zeros_like(own)
                for c in usable:
                    ids = tokenizer.pretrained(c["text"], add_special_tokens=False)["input_ids"]
                    ids = [i for i in ids if tokenizer.pretrained.decode([i]).strip()]
                    other += c["score"] / total * table[torch.tensor(ids)].mean(dim=0)
                own = share * own + (1 - share) * other
        mixed.append(own)
    return torch.stack(mixed)


@settings(max_examples=60)
@given(premise=sentences, hypothesis=sentences, data=st.data())
def test_words_are_mixed_as_the_formula_says(
    tokenizer, tokens, table, write_rows, tmp_path_factory, premise, hypothesis, data
):
    texts, share = (premise, hypothesis), 0.625
    rows = []
    for text in texts:
        chosen = {}
        for word in range(len(text.split(" "))):
            some = data.draw(st.lists(st.sampled_from(WORDS), max_size=3, unique=True))
            chosen[word] = [(c, data.draw(st.sampled_from([0.1, 0.5]))) for c in some]
        rows.append(choices_row(text, chosen))
    folder = tmp_path_factory.mktemp("choices")
    own = [read(write_rows, folder / str(i), row, tokens) for i, row in enumerate(rows)]
    sides = tokenizer.encode(list(texts))
    mixing = mixing_of(list(zip(sides, texts)), own, tokens)
    parts = [slow(tokenizer, table, s, t, r, share) for s, t, r in zip(sides, texts, rows)]
    cls, sep = table[tokenizer.cls][None], table[tokenizer.sep][None]
    want = torch.cat([cls, parts[0], sep, parts[1], sep])
    ids = [tokenizer.cls, *sides[0].ids, tokenizer.sep, *sides[1].ids, tokenizer.sep]
    embedded = table[torch.tensor(ids, dtype=torch.int64)][None]
    if mixing is not None:
        mixup = Mixup(
            places=torch.from_numpy(mixing.places.astype(np.int64)),
            shares=torch.full((len(mixing.places),), share).double(),
            rows=torch.from_numpy(mixing.rows.astype(np.int64)),
            ids=torch.from_numpy(mixing.ids.astype(np.int64)),
            weights=torch.from_numpy(mixing.weights).double(),
        )
        embedded = mixup(embedded, table)
    assert torch.allclose(embedded[0], want, atol=1e-6)


def test_every_subword_of_a_word_is_mixed_with_the_same_sum(
    tokenizer, tokens, write_rows, tmp_path
):
    text = next(
        w for w in ("skies", "birds", "trees", "house") if len(tokenizer.encode([w])[0].ids) > 1
    )
    row = choices_row(text, {0: [("dog", 0.3), ("كلب", 0.1)]})
    own = read(write_rows, tmp_path / "c", row, tokens)
    side = tokenizer.encode([text])[0]
    mixing = mixing_of([(side, text)], [own], tokens)
    assert mixing.places.tolist() == list(range(1, 1 + len(side.ids)))
    first = mixing.rows == 0
    for row_ in range(1, len(side.ids)):
        here = mixing.rows == row_
        assert (mixing.ids[here] == mixing.ids[first]).all()
        assert (mixing.weights[here] == mixing.weights[first]).all()
    assert mixing.weights[first].sum() == pytest.approx(1.0)


def test_a_subword_that_reaches_over_the_end_of_its_word_stays(
    tokenizer, tokens, write_rows, tmp_path
):
    text = "dogs"  # the word is said to end within the last subword
    side = Encoding(np.asarray([30, 31], np.int32), np.asarray([[0, 2], [2, 4]], np.int32))
    row = choices_row(text, {0: [("house", 1.0)]}) | {"spans": [{"start": 0, "end": 3}]}
    own = read(write_rows, tmp_path / "c", row, tokens)
    assert mixing_of([(side, text)], [own], tokens).places.tolist() == [1]
    outside = row | {"spans": [{"start": 1, "end": 4}]}
    own = read(write_rows, tmp_path / "d", outside, tokens)
    assert mixing_of([(side, text)], [own], tokens).places.tolist() == [2]


def test_candidates_that_cannot_be_used_are_left_out(tokens, write_rows, tmp_path):
    bad = [("dog", 0.5), ("字", 0.4), ("house", 0.0), ("trees", 0.1)]
    own = read(write_rows, tmp_path / "c", choices_row("dog", {0: bad}), tokens)
    (known_ids,) = tokens.candidate_ids(["trees"]).values()
    assert own.ids[0].tolist() == known_ids.tolist()  # not the word itself, unknown or impossible
    assert own.weights[0].sum() == pytest.approx(1.0)
    none = choices_row("dog", {0: bad[:3]})
    assert read(write_rows, tmp_path / "d", none, tokens) is None
