"""Pass 1 of BTMLM: an obvious version, one sentence at a time, is the oracle."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

from bitextile.kernels.randomness import hash64, uniform
from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.examples import join
from bitextile.trainer.data.packed import flatten, pack_inputs
from bitextile.trainer.generate.camlm import CamlmEngine, camlm_engine
from bitextile.trainer.generate.config import CamlmConfig
from bitextile.trainer.objectives import camlm as training

TEXTS = [
    "the red dog sees a small house",
    "birds",
    "old trees near the blue house",
    "the dog",
    "a small bird sings while the red dog sees old trees under blue skies",
    "near",
]
RATIO = 1.25


def generator(folder: str, **settings):
    ratios = (("ar", "en", 1 / RATIO), ("en", "ar", RATIO))
    return CamlmEngine(
        folder=folder, digest="sha256:0", ratios=ratios, config=CamlmConfig(**settings)
    ).load()


class Slow:
    """The model itself, one sentence at a time, every mask and embedding written out."""

    def __init__(self, folder: str, tokenizer) -> None:
        self.mlm = AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()
        self.language = load_file(Path(folder) / "languages.safetensors")["language"]
        self.tokenizer = tokenizer
        self.ordinary = torch.tensor(tokenizer.ordinary.astype(np.int64))

    def log_probabilities(self, source: list[int], target: list[int], tags: list[int]):
        """Of each placeholder, over the ordinary vocabulary alone."""
        ids = [self.tokenizer.cls, *source, self.tokenizer.sep, *target]
        n_src = len(source) + 2
        mask = torch.full((len(ids), len(ids)), torch.finfo(torch.float32).min)
        for q in range(len(ids)):
            for k in range(len(ids)):
                if k < n_src or q >= n_src:
                    mask[q, k] = 0.0
        tag = [tags[0]] * n_src + [tags[1]] * len(target)
        embedded = self.mlm.get_input_embeddings()(torch.tensor([ids])) + self.language[tag]
        positions = torch.arange(len(ids))[None] + self.tokenizer.pad + 1
        with torch.no_grad():
            logits = self.mlm(
                inputs_embeds=embedded, position_ids=positions, attention_mask=mask[None, None]
            ).logits[0, n_src:]
        return logits[:, self.ordinary].log_softmax(dim=1).numpy()

    def write(self, text: str, *, passes: int = 1, draw=None):
        source = self.tokenizer.pretrained(text, add_special_tokens=False)["input_ids"]
        n = max(1, round(RATIO * len(source)))
        tokens, sure = [self.tokenizer.mask] * n, [0.0] * n
        again = range(n)
        for step in range(passes):
            if step:
                # The schedule of mask-predict (Ghazvininejad et al. 2019, section 3), in the
                # paper's terms.
                few = int(np.floor(n * (passes - step) / passes))
                again = sorted(range(n), key=lambda i: sure[i])[:few]
            shown = [self.tokenizer.mask if i in again else tokens[i] for i in range(n)]
            scores = self.log_probabilities(source, shown, [1, 0])
            for i in again:
                place = int(scores[i].argmax()) if draw is None else draw(scores[i], i)
                tokens[i] = int(self.tokenizer.ordinary[place])
                sure[i] = float(scores[i][place])
        return self.tokenizer.pretrained.convert_ids_to_tokens(tokens), float(np.mean(sure))


@pytest.fixture(scope="module")
def slow(random_model, tokenizer) -> Slow:
    return Slow(random_model, tokenizer)


@pytest.mark.parametrize("passes", [0, 1, 3])
def test_what_is_written_is_what_the_obvious_version_writes(
    random_model, slow, requests, passes
) -> None:
    rows = requests(TEXTS)
    made = generator(random_model, mask_predict_passes=passes)(rows)
    assert made.rejects.num_rows == 0
    for text, row in zip(TEXTS, made.kept.to_pylist(), strict=True):
        tokens, score = slow.write(text, passes=passes + 1)
        assert row["tgt_tokens"] == tokens
        assert row["score"] == pytest.approx(score, abs=6e-4)
        assert row["generator"] == "camlm sha256:0"
        assert (row["src"], row["src_lang"], row["tgt_lang"]) == (text, "en", "ar")
    assert made.kept.column("text_id").equals(rows.column("text_id"))


def test_draws_are_keyed_by_record_and_position(random_model, slow, requests) -> None:
    rows = requests(TEXTS)
    made = generator(random_model, top_k=5, seed=3)(rows)
    keys = hash64(rows.column("text_id"))
    for i, (text, row) in enumerate(zip(TEXTS, made.kept.to_pylist(), strict=True)):

        def draw(scores, position, key=keys[i]):
            best = np.argsort(-scores, kind="stable")[:5]
            shares = np.exp(scores[best]) / np.exp(scores[best]).sum()
            drawn = uniform(
                np.asarray([key]), seed=3, operation="backtranslate/token", position=position
            )
            return int(best[np.searchsorted(shares.cumsum(), drawn[0], side="right")])

        tokens, score = slow.write(text, draw=draw)
        assert row["tgt_tokens"] == tokens
        assert row["score"] == pytest.approx(score, abs=6e-4)
    best = generator(random_model)(rows).kept
    other = generator(random_model, top_k=5, seed=4)(rows).kept
    assert made.kept["tgt"].to_pylist() != best["tgt"].to_pylist()
    assert made.kept["tgt"].to_pylist() != other["tgt"].to_pylist()


def test_placeholders_see_what_masks_see_in_training(random_model, tokenizer, requests) -> None:
    # A pair whose whole second sentence is selected, packed by the objective's own table.
    run = generator(random_model)
    text = TEXTS[0]
    source = tokenizer.encode([text])[0]
    n = round(RATIO * len(source.ids))
    target = tokenizer.encode([" ".join(TEXTS)])[0]
    target = type(target)(target.ids[:n], target.offsets[:n])
    pair = join(tokenizer, source, target, languages=("en", "ar"))
    flat = flatten([pair])
    selected = pair.maskable & (pair.sides == 1)
    packed, places = pack_inputs(
        flat,
        np.where(selected, tokenizer.mask, flat.tokens).astype(np.int32),
        width=len(flat.tokens),
        pad=tokenizer.pad,
        attention_roles=2 * flat.sides + selected,
        visibility=training.VISIBILITY,
        languages=np.asarray([1, 0])[flat.sides],
    )
    with torch.inference_mode():
        vectors = run.checkpoint.encoder.vectors(packed)[torch.from_numpy(places[selected])]
        logits = run.checkpoint.encoder.logits(vectors)[:, tokenizer.ordinary]
    expected = tokenizer.ordinary[logits.argmax(dim=1).numpy()].tolist()
    row = run(requests([text])).kept.to_pylist()[0]
    assert row["tgt_tokens"] == tokenizer.pretrained.convert_ids_to_tokens(expected)
    best = logits.log_softmax(dim=1).max(dim=1).values.mean()
    assert row["score"] == pytest.approx(float(best), abs=6e-4)


@pytest.mark.parametrize("settings", [{}, {"top_k": 4}, {"mask_predict_passes": 2}])
def test_batches_and_their_order_do_not_matter(
    random_model, requests, settings, monkeypatch
) -> None:
    run = generator(random_model, **settings)
    texts = [f"{a} {b}" for a in TEXTS for b in TEXTS]
    rows = requests(texts)
    whole = run(rows).kept.to_pylist()
    parts = [run(rows.slice(i, 7)).kept for i in range(0, len(texts), 7)]
    assert pa.Table.from_batches(parts).to_pylist() == whole
    order = np.random.default_rng(0).permutation(len(texts))
    assert run(rows.take(pa.array(order))).kept.to_pylist() == [whole[i] for i in order]
    # A few sentences per pass, in place of all.
    monkeypatch.setattr("bitextile.trainer.generate.parallel.BATCH_TOKENS", {"cpu": 40, "cuda": 40})
    assert run(rows).kept.to_pylist() == whole


def test_the_same_batch_gives_the_same_bytes_on_any_number_of_threads(
    random_model, requests
) -> None:
    run, rows = generator(random_model), requests([f"{a} {b}" for a in TEXTS for b in TEXTS])
    one = run(rows)
    torch.set_num_threads(2)
    try:
        assert run(rows).kept.equals(one.kept)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_both_ways_in_one_batch(random_model, requests) -> None:
    run = generator(random_model)
    there, back = requests(TEXTS), requests(["كلب أحمر", "بيت"], "ar", "en")
    both = pa.Table.from_batches([there, back]).combine_chunks().to_batches()[0]
    made = run(both).kept.to_pylist()
    assert made == [*run(there).kept.to_pylist(), *run(back).kept.to_pylist()]
    assert made[-1]["tgt_lang"] == "en"


def test_a_sentence_longer_than_the_model_is_rejected_with_its_tokens(
    random_model, requests, tokenizer
) -> None:
    run = generator(random_model)
    long = " ".join(["the red dog"] * 30)
    made = run(requests([TEXTS[0], long, TEXTS[1]]))
    assert made.kept.column("src").to_pylist() == [TEXTS[0], TEXTS[1]]
    (reject,) = made.rejects.to_pylist()
    n = len(tokenizer.encode([long])[0].ids)
    assert (reject["rule"], reject["src"], reject["line"]) == ("too_long_for_model/1", long, 2)
    assert reject["value"] == n + 2 + round(RATIO * n)


def test_the_longest_sentence_that_fits_is_written(random_model, requests, tokenizer) -> None:
    run = generator(random_model)
    texts = [" ".join(["house"] * n) for n in range(1, 130)]
    made = run(requests(texts))
    lengths = [len(tokenizer.encode([t])[0].ids) for t in texts]
    fits = [t for t, n in zip(texts, lengths) if n + 2 + round(RATIO * n) <= 200]
    assert made.kept.column("src").to_pylist() == fits
    assert len(fits) < len(texts)


@pytest.mark.parametrize("texts", [[], [""], ["", "the dog"]])
def test_no_sentence_and_an_empty_one(random_model, requests, texts) -> None:
    made = generator(random_model)(requests(texts)).kept.to_pylist()
    assert [bool(row["tgt_tokens"]) for row in made] == [bool(text) for text in texts]


def test_no_special_token_is_ever_written(save_random, requests, tokenizer) -> None:
    folder = save_random(objectives=("camlm",))
    model = AutoModelForMaskedLM.from_pretrained(folder)
    with torch.no_grad():  # specials and the rows that no id has would win everywhere
        barred = sorted(set(range(tokenizer.size + 3)) - set(tokenizer.ordinary.tolist()))
        model.lm_head.bias[barred] = 1e4
    model.save_pretrained(folder)
    made = generator(folder, top_k=3)(requests(TEXTS)).kept.to_pylist()
    allowed = set(tokenizer.pretrained.convert_ids_to_tokens(tokenizer.ordinary.tolist()))
    assert all(set(row["tgt_tokens"]) <= allowed and row["tgt_tokens"] for row in made)


DIRECTIONS = {("en", "ar")}


def engine(folder: str, directions=DIRECTIONS, ratios=None, pairs=()) -> CamlmEngine:
    return camlm_engine(
        folder,
        digest="sha256:0",
        directions=directions,
        pairs=pairs,
        config=CamlmConfig(length_ratios={("en", "ar"): 1.0} if ratios is None else ratios),
    )


def test_a_given_ratio_goes_before_a_measured_one(random_model, datasets) -> None:
    pairs = [datasets["pairs"]]
    both = {("en", "ar"), ("ar", "en")}
    measured = engine(random_model, directions=both, ratios={}, pairs=pairs).ratios
    mixed = engine(random_model, directions=both, ratios={("en", "ar"): 9.0}, pairs=pairs).ratios
    assert mixed == (measured[0], ("en", "ar", 9.0))


def test_what_a_checkpoint_cannot_generate_is_refused(save_random, random_model) -> None:
    with pytest.raises(ConfigError, match=r"trained with mlm, tlm, never with camlm"):
        engine(save_random(objectives=("tlm", "mlm")))
    with pytest.raises(ConfigError, match=r"no language embeddings.*language_embeddings: true"):
        engine(save_random(languages=()))
    with pytest.raises(ConfigError, match=r"no embedding for ja; it knows ar, en"):
        engine(random_model, directions={("en", "ja")}, ratios={("en", "ja"): 1.0})
    with pytest.raises(ConfigError, match=r"no length ratio of en -> ar.*--pairs"):
        engine(random_model, ratios={})
    with pytest.raises(ConfigError, match=r"length ratio of en -> ar is -1"):
        engine(random_model, ratios={("en", "ar"): -1.0})


def test_a_model_from_elsewhere_and_a_foreign_tokenizer_are_refused(
    save_random, word_tokenizer, rewritten
) -> None:
    folder = save_random()
    rewritten(folder, tokenizer=word_tokenizer.digest)
    with pytest.raises(ConfigError, match=r"its tokenizer is sha256:.*trained with sha256:"):
        engine(folder)
    with pytest.raises(ConfigError, match=r"its tokenizer is sha256:.*trained with sha256:"):
        generator(folder)
    (Path(folder) / "bitextile.json").unlink()
    with pytest.raises(ConfigError, match=r"no bitextile.json"):
        engine(folder)


def test_a_pickle_is_never_loaded(random_model, tmp_path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(random_model, folder)
    (folder / "model.safetensors").unlink()
    (folder / "languages.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ConfigError, match=r"found pytorch_model.bin; pickles can run code"):
        generator(str(folder))
