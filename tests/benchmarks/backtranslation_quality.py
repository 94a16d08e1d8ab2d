#!/usr/bin/env python
"""What CAMLM generates, and what BTMLM learns from it. Several seeds, equal steps, two questions.

    python tests/benchmarks/backtranslation_quality.py --out OUT              # data, runs, tables
    python tests/benchmarks/backtranslation_quality.py --out OUT --only CAMLM --seeds 1 --steps 20

Data: multi30k en-de by bitextile's commands, tokenizer and first weights of learning.py, which is
called for them: the mini preset after 2,000 steps of WEAM on all pairs (question 1), or of MLM on
their 58,000 sentences, each alone (question 2). From there 1,024 tokens a step, bf16, language
embeddings, fresh optimiser. A run that is finished is not repeated, so the command may be stopped
and called again, and several be run at once with --only.

1. Generating (GENERATORS): all 29,000 pairs, --steps steps; each model then generates English for
   the 1,000 German sentences of test_2016_flickr, and German for the English ones, which are the
   first side of every pair. Words are those of our segmenter, lower-cased, with a letter or digit;
   a word of a sentence is right if it is in the translation, each as often as there. Over all
   sentences together, none left out by the translation filter:

    precision   right / generated        recall   right / words of the translations
    F1          their harmonic mean      rare F1  the same of words that are not among the 100 most
                                                  frequent of the training sentences
    blind F1    of the baseline: a bag of as many words as the model generated, which knows nothing
                of the sentence; words are put in by P(the word is at least j times in a training
                sentence), j counting how often the bag has it by then, so that no bag of k words
                has more right ones to be expected. The table's last row has the same k for all
                sentences, the best by F1 on the training sentences.

2. Learning (LEARNERS): every 29th pair stays, 1,000 in all; of the others every second one gives
   its German sentence only, the rest their English one only, 14,000 each, no sentence beside its
   translation. Stage 1 trains on MLM, TLM and CAMLM for a third of --steps and translates the
   28,000 sentences; stage 2 goes on from its weights for another third.

    retrieval   accuracy at 1 among the 1,000 of test_2016_flickr, mean of both directions
    perplexity  masked, of its German sentences: alone, and given the English translation
"""

import argparse
import gzip
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import learning
import pyarrow as pa

from bitextile.kernels.backtranslate import draw_targets
from bitextile.kernels.filters.translation import TranslationFilterConfig, filter_translations
from bitextile.kernels.model_digest import encoder_digest
from bitextile.kernels.text.scripts import usual_scripts
from bitextile.kernels.text.segment import cut_words, segment
from bitextile.pipelines.backtranslate import BacktranslateConfig, backtranslate
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import open_dataset
from bitextile.schema.kinds import MONO, PAIRS, PSEUDO
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.config_file import parse_config
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.evaluate.task import WITHOUT
from bitextile.trainer.generate.camlm import CamlmEngine
from bitextile.trainer.generate.checkpoint import model_tokenizer
from bitextile.trainer.generate.config import CamlmConfig
from bitextile.trainer.generate.length_ratios import measure_ratios
from bitextile.trainer.train.pretrain import pretrain
from bitextile.transforms.batches import TrackedRows
from bitextile.transforms.write import WriteDataset

MULTI30K = Path(__file__).resolve().parents[3] / "shared" / "data" / "parallel" / "multi30k"
OPTIONS = RunOptions(workers=1, reuse=True)
FREQUENT = 100
PASSES = (0, 1, 2, 4)
DIRECTIONS = (("de", "en"), ("en", "de"))

MLM = {"objective": "mlm"}
TLM = {"objective": "tlm"}
CAMLM = {"objective": "camlm", "weight": 2, "random_pair_order": True}
HALF = CAMLM | {"mask_rate": 0.5}
GENERATORS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "MLM, TLM": ("weam", [MLM, TLM]),
    "CAMLM": ("weam", [MLM, TLM, CAMLM]),
    "CAMLM, half masked": ("weam", [MLM, TLM, HALF]),
    "CAMLM, half masked, English first": ("weam", [MLM, TLM, HALF | {"random_pair_order": False}]),
    "CAMLM, half masked, from MLM": ("mlm", [MLM, TLM, HALF]),
}
"""First weights and mixtures of question 1, from `pairs`."""
LEARNERS = ("stage 1", "without", "btmlm", "btmlm, shuffled", "btmlm, true")
"""Models of question 2: the beginning, and what goes on from it. `shuffled` has each pseudo
sentence beside another one's source, `true` the translations that were taken away."""


def read(name: str, lang: str) -> list[str]:
    with gzip.open(MULTI30K / f"{name}.{lang}.gz", "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def make_data(work: Path) -> None:
    """Writes all/{pairs,mono}, few/{pairs,mono} and the tokenizer."""
    work.mkdir(parents=True, exist_ok=True)
    train = {lang: read("train", lang) for lang in ("en", "de")}
    some = [i for i in range(len(train["en"])) if i % 29 == 0]
    others = {
        lang: [i for i in range(len(train[lang])) if i % 29 and i % 2 == odd]
        for odd, lang in enumerate(train)
    }
    kept = {"few": {"en": some, "de": some}, "mono": others}
    for name, sides in kept.items():
        for lang, lines in sides.items():
            text = "".join(f"{train[lang][i]}\n" for i in lines)
            (work / f"{name}.{lang}").write_text(text, encoding="utf-8")
    worlds: dict[str, tuple[str, tuple[str, ...]]] = {
        "all": (f"{MULTI30K}/train.{{}}.gz", ()),
        "few": ("few.{}", ("mono.{}",)),
    }
    for world, (pairs, mono) in worlds.items():
        recipe = recipe_of(pairs, mono)
        (work / f"{world}.yaml").write_text(json.dumps(recipe), encoding="utf-8")
        ingest(str(work / f"{world}.yaml"), str(work / world), options=OPTIONS)


def recipe_of(pairs: str, mono: Sequence[str]) -> dict[str, Any]:
    """Returns a recipe: pairs and monolingual files to learn from, the test set to measure on."""
    test, langs = f"{MULTI30K}/test_2016_flickr.{{}}.gz", ["en", "de"]
    splits = [("test", test, True), ("train", pairs, False)]
    texts = [("test", test), *(("train", name) for name in mono)]
    return {
        "bitext": [
            {"corpus": s, "languages": langs, "split": s, "files": [f.format(x) for x in langs]}
            for s, f, _ in splits
        ],
        "mono": [
            {"corpus": s, "language": x, "split": s, "files": [f.format(x)]}
            for s, f in texts
            for x in langs
        ],
    }


def start_of(work: Path, name: str) -> str:
    """Returns a model to begin with: 2,000 steps of an objective over all pairs."""
    folder = work / "learning" / "runs" / f"{name}-2000-0"
    if not (folder / "bitextile.json").exists():
        learning.make_data(work / "learning")
        learning.run_one(work / "learning", name, 0, 2000)
    return str(folder)


def train(
    work: Path, name: str, entries: list[dict[str, Any]], *, steps: int, seed: int, start: str
) -> str:
    """Trains a model, unless it is there; returns its folder, which also says what it took."""
    out = work / "runs" / f"{name.replace(', ', '-').replace(' ', '-')}-{steps}-{seed}"
    config = {
        "tokenizer": str(work / "learning" / "real" / "tokenizer"),
        "model": {"checkpoint": start},
        "data": entries,
        "steps": steps,
        "warmup_steps": steps // 10,
        "batch_tokens": 1024,
        "lr": 5e-4,
        "seed": seed,
        "precision": "bf16",
        "language_embeddings": True,
    }
    if not (out / "bitextile.json").exists():
        began = time.process_time()
        if pretrain(
            parse_config(PretrainConfig, config, base=work), str(out), resume=True
        ).interrupted:
            raise SystemExit("interrupted; the same command goes on")
        save_json(out / "minutes.json", {"cpu_minutes": (time.process_time() - began) / 60})
    return str(out)


def save_json(path: Path, value: Any) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    return value


# Question 1


def generate(work: Path, model: str, src: str, tgt: str, n_passes: int) -> pa.RecordBatch:
    """Returns GENERATED rows: the test sentences of a language in the other, unfiltered."""
    folder = work / "all"
    ratios = measure_ratios(model_tokenizer(model), [str(folder / "pairs")])
    # Not camlm_engine, which rightly refuses a model that never saw CAMLM.
    engine = CamlmEngine(
        folder=model,
        digest=encoder_digest(model),
        ratios=((src, tgt, ratios[src, tgt]),),
        config=CamlmConfig(mask_predict_passes=n_passes),
    )
    mono = open_dataset(str(folder / "mono"), MONO).table(key=src).combine_chunks()
    rows = mono.filter(pa.compute.equal(mono["split"], "test")).to_batches()[0]
    return engine.load()(draw_targets(rows, weights={tgt: 1.0}, seed=0)).kept


def references(work: Path, src: str) -> dict[str, str]:
    """Returns the translation of each test sentence of a language."""
    pairs = open_dataset(str(work / "all" / "pairs"), PAIRS).table(key="de-en")
    sides = [pairs[side].to_pylist() for side in ("src", "tgt")]
    return dict(zip(*(sides if src == "en" else sides[::-1])))


def bags(texts: Sequence[str], lang: str) -> list[Counter[str]]:
    """Returns the words of sentences, counted, as the head of this file says."""
    array = pa.array(texts, pa.string())
    found = cut_words(array, segment(array, lang)).to_pylist()
    return [Counter(w.lower() for w in words if any(map(str.isalnum, w))) for words in found]


def scores(generated: Iterable[Counter[str]], wanted: Iterable[Counter[str]]) -> dict[str, float]:
    """Returns precision, recall and F1 of bags against bags, over all of them together."""
    right = n_generated = n_wanted = 0
    for one, other in zip(generated, wanted, strict=True):
        right += (one & other).total()
        n_generated += one.total()
        n_wanted += other.total()
    f1 = 2 * right / max(n_generated + n_wanted, 1)
    return {"precision": right / max(n_generated, 1), "recall": right / max(n_wanted, 1), "f1": f1}


def blind(sentences: Sequence[Counter[str]]) -> tuple[list[str], int]:
    """Returns words whose first k are the best bag of k, and the k with the best F1 of all."""
    at_least = Counter((w, j) for bag in sentences for w, n in bag.items() for j in range(1, n + 1))
    total, right, best = sum(bag.total() for bag in sentences), 0, (0.0, 0)
    order = at_least.most_common(100)
    for k, (_, n) in enumerate(order, start=1):
        right += n
        best = max(best, (2 * right / (k * len(sentences) + total), k))
    return [w for (w, _), _ in order], best[1]


def compared(
    generated: Sequence[Counter[str]], wanted: Sequence[Counter[str]], frequent: set[str]
) -> dict[str, Any]:
    """Returns the columns of a row of the first table."""

    def rare(bag: Counter[str]) -> Counter[str]:
        return Counter({w: n for w, n in bag.items() if w not in frequent})

    rares = scores(map(rare, generated), map(rare, wanted))
    return scores(generated, wanted) | {"rare_f1": rares["f1"]}


def filtered(rows: pa.RecordBatch, tgt: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Returns how many rows the filter rejects by each rule."""
    config = TranslationFilterConfig(scripts={tgt: usual_scripts(list(texts.values())[:2000])})
    rejected = filter_translations(rows, config=config).rejects
    return dict(Counter(rejected.column("rule").to_pylist()))


def measure_generator(work: Path, name: str, seed: int, steps: int) -> dict[str, Any]:
    """Trains one model of question 1, lets it write, and returns the figures by direction."""
    pairs = {"dataset": str(work / "all" / "pairs")}
    start, mixture = GENERATORS[name]
    entries = [e | pairs for e in mixture]
    model = train(work, name, entries, steps=steps, seed=seed, start=start_of(work, start))
    path = Path(model) / "generated.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return save_json(
        path, {f"{s} to {t}": measure_generation(work, model, s, t) for s, t in DIRECTIONS}
    )


def measure_generation(work: Path, model: str, src: str, tgt: str) -> dict[str, Any]:
    """Returns the figures of what a model writes in one direction, by passes; keeps the texts."""
    texts, seen = references(work, src), bags(read("train", tgt), tgt)
    best, k = blind(seen)
    frequent = {w for w, _ in sum_of(seen).most_common(FREQUENT)}
    figures: dict[str, Any] = {}
    for n_passes in PASSES:
        rows = generate(work, model, src, tgt, n_passes)
        sources, made = rows.column("src").to_pylist(), rows.column("tgt").to_pylist()
        wanted, found = bags([texts[s] for s in sources], tgt), bags(made, tgt)
        figures[str(n_passes)] = compared(found, wanted, frequent)
        as_long = scores([Counter(best[: bag.total()]) for bag in found], wanted)
        figures[str(n_passes)] |= {
            "blind_f1": as_long["f1"],
            "translation_filter": filtered(rows, tgt, texts),
        }
        (Path(model) / f"generated-{tgt}-{n_passes}.tsv").write_text(
            "".join(f"{s}\t{m}\t{texts[s]}\n" for s, m in zip(sources, made)), encoding="utf-8"
        )
    figures["constant"] = compared([Counter(best[:k])] * len(wanted), wanted, frequent)
    figures["constant"]["bag"] = best[:k]
    return figures


def sum_of(counts: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


# Question 2


def measure_learner(work: Path, name: str, seed: int, steps: int) -> dict[str, float]:
    """Trains one model of question 2, with all that it needs, and measures it."""
    few = work / "few"
    entries: list[dict[str, Any]] = [
        MLM | {"dataset": str(few / "mono")},
        TLM | {"dataset": str(few / "pairs")},
        CAMLM | {"dataset": str(few / "pairs"), "mask_rate": 0.5},
    ]
    start = start_of(work, "mlm")
    first = train(work, "stage 1", entries, steps=steps // 3, seed=seed, start=start)
    model = first
    if name != "stage 1":
        if name != "without":
            dataset = pseudo(work, first, name.removeprefix("btmlm").removeprefix(", "))
            entries.append({"objective": "btmlm", "weight": 2, "dataset": dataset})
        model = train(work, name, entries, steps=steps // 3, seed=100 + seed, start=first)
    path = Path(model) / "measured.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return save_json(path, measure(model, str(few / "pairs"), str(few / "mono")))


def measure(model: str, pairs: str, mono: str) -> dict[str, float]:
    """Returns the figures of one model of question 2."""
    # Language embeddings are of pre-training only: what is measured is the model as users have it.
    pair, alone, given = (
        next(iter(evaluate(model, task=task, data=[data])["results"].values()))[WITHOUT]
        for task, data in (
            ("retrieval", pairs),
            ("perplexity", mono),
            ("conditional-perplexity", pairs),
        )
    )
    return {
        "retrieval": pair["mean"]["value"],
        "alone": alone["de"]["perplexity"]["value"],
        "given": given["de"]["perplexity"]["value"],
        "alone, en": alone["en"]["perplexity"]["value"],
        "given, en": given["en"]["perplexity"]["value"],
    }


def pseudo(work: Path, model: str, variant: str) -> str:
    """Writes the pseudo pairs of a model, or a variant of them, unless they are there."""
    out, few = f"{model}-pseudo", work / "few"
    config = BacktranslateConfig(
        model=model, to={"de": 1.0, "en": 1.0}, pairs=(str(few / "pairs"),)
    )
    backtranslate(str(few / "mono"), out, config=config, engine=CamlmConfig(), options=OPTIONS)
    if not variant:
        return out
    varied = f"{out}-{variant}"
    if not Path(varied, "manifest.json").exists():
        turn = shuffled if variant == "shuffled" else replaced
        dataset = open_dataset(out, PSEUDO)
        batches = [turn(work, dataset.table(key=key).combine_chunks()) for key in dataset.keys]
        write_pseudo(varied, batches)
    return varied


def shuffled(work: Path, rows: pa.Table) -> pa.RecordBatch:
    """Returns rows of one key with the pseudo sentences of other rows of it and its direction."""
    (rows,) = rows.to_batches()
    columns = {name: rows.column(name).to_pylist() for name in rows.schema.names}
    for lang in set(columns["src_lang"]):
        here = [i for i, tag in enumerate(columns["src_lang"]) if tag == lang]
        for name in ("tgt", "tgt_tokens"):
            moved = [columns[name][i] for i in [*here[1:], *here[:1]]]
            for i, value in zip(here, moved):
                columns[name][i] = value
    return pa.RecordBatch.from_pydict(columns, schema=rows.schema)


def replaced(work: Path, rows: pa.Table) -> pa.RecordBatch:
    """Returns rows of one key with the true translations in place of the pseudo sentences."""
    (rows,) = rows.to_batches()
    pairs = open_dataset(str(work / "all" / "pairs"), PAIRS).table(key="de-en").to_pylist()
    known = {("en", p["src"]): p["tgt"] for p in pairs} | {
        ("de", p["tgt"]): p["src"] for p in pairs
    }
    columns = {name: rows.column(name).to_pylist() for name in rows.schema.names}
    columns["tgt"] = [known[key] for key in zip(columns["src_lang"], columns["src"])]
    columns["tgt_tokens"] = [[] for _ in columns["tgt"]]
    return pa.RecordBatch.from_pydict(columns, schema=rows.schema)


def write_pseudo(path: str, batches: list[pa.RecordBatch]) -> None:
    with beam.Pipeline(runner="DirectRunner") as root:
        rows = root | beam.Create(batches, reshuffle=False)
        read = rows | beam.Map(lambda batch: batch.num_rows)
        TrackedRows(rows, (), read, ()) | WriteDataset(path, PSEUDO)


# Tables


def spread(values: Sequence[float]) -> str:
    """Returns mean and range."""
    digits = 1 if max(values) >= 2 else 3
    mean, low, high = (
        f"{v:.{digits}f}" for v in (statistics.fmean(values), min(values), max(values))
    )
    return mean if len(values) == 1 else f"{mean} ({low} to {high})"


def print_generators(found: Mapping[str, list[dict[str, Any]]]) -> None:
    columns = ("f1", "rare_f1", "precision", "recall", "blind_f1")
    names = "F1 | rare F1 | precision | recall | blind F1 | rejected: repetition/1 | by other rules"
    for direction in (f"{s} to {t}" for s, t in DIRECTIONS):
        print(f"| {direction}, `--mask-predict-passes` {' / '.join(map(str, PASSES))} | {names} |")
        print("|---|---|---|---|---|---|---|---|")
        for name, all_runs in found.items():
            by_passes = [[run[direction][str(p)] for run in all_runs] for p in PASSES]
            cells = [[spread([r[c] for r in runs]) for runs in by_passes] for c in columns]
            rejected = [
                sum_of(Counter(r["translation_filter"]) for r in runs) for runs in by_passes
            ]
            n = len(all_runs)
            cells += [[f"{g['repetition/1'] / n:.0f}" for g in rejected]]
            cells += [[f"{(g.total() - g['repetition/1']) / n:.0f}" for g in rejected]]
            print(f"| {name} | {' | '.join(' / '.join(cell) for cell in cells)} |")
        constant = [spread([all_runs[0][direction]["constant"][c]]) for c in columns[:-1]]
        print(f"| the best bag of one length | {' | '.join(constant)} | | | |")


def print_learners(found: Mapping[str, list[dict[str, float]]]) -> None:
    print("| model | retrieval | German alone | German given English |")
    print("|---|---|---|---|")
    for name, runs in found.items():
        cells = [spread([run[c] for run in runs]) for c in ("retrieval", "alone", "given")]
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    """Makes data and runs, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--only", nargs="*", default=[*GENERATORS, *LEARNERS])
    args = parser.parse_args()
    work = args.out.absolute()
    make_data(work)
    for names, one, table in (
        (GENERATORS, measure_generator, print_generators),
        (LEARNERS, measure_learner, print_learners),
    ):
        found: dict[str, list[dict[str, Any]]] = {n: [] for n in names if n in args.only}
        for seed in range(args.seeds):
            for name in found:
                found[name].append(one(work, name, seed, args.steps))
        if found:
            table(found)


if __name__ == "__main__":
    main()
