#!/usr/bin/env python
"""Does each objective teach what it is for? Equal steps, the same initial weights, several seeds.

    python tests/benchmarks/learning.py --out learning-out          # data, runs, table
    python tests/benchmarks/learning.py --out learning-out --seeds 1 --steps 100   # a quick look

Data: multi30k en-de (29,000 pairs to learn from, the 1,000 of test_2016_flickr to measure on) and
a derived language of its English side (transliteration and inversion, exact links), by bitextile's
commands; one tokenizer of 4,000 pieces for each of the two. Model: the mini preset, 2,048 tokens a
step, bf16; a quarter of the steps on the derived language, which is learned sooner. A run that is
finished is not repeated, so the command may be stopped and called again, and several be run at once
with --only.

    perplexity   masked perplexity of German and English given the translation, lower is better
    retrieval    accuracy at 1 among 1,000, mean of both directions
    embedding    share of words whose nearest neighbour among the embeddings is their translation
"""

import argparse
import json
import math
import statistics
from pathlib import Path

from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.tokenizer.unigram import TokenizerConfig
from bitextile.pipelines.align import align
from bitextile.pipelines.derive import derive
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.lexicon import lexicon
from bitextile.pipelines.runner.options import RunOptions
from bitextile.pipelines.tokenizer import train_tokenizer
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.config_file import parse_config
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.train.pretrain import pretrain

SHARED = Path(__file__).resolve().parents[3] / "shared"
MULTI30K = SHARED / "data" / "parallel" / "multi30k"
RECIPE = f"""
bitext:
  - {{corpus: test, languages: [en, de], split: test,
     files: [{MULTI30K}/test_2016_flickr.en.gz, {MULTI30K}/test_2016_flickr.de.gz]}}
  - {{corpus: train, languages: [en, de], split: train,
     files: [{MULTI30K}/train.en.gz, {MULTI30K}/train.de.gz]}}
mono:
  - {{corpus: test, language: en, split: test, files: [{MULTI30K}/test_2016_flickr.en.gz]}}
  - {{corpus: train, language: en, split: train, files: [{MULTI30K}/train.en.gz]}}
"""
VOCABULARY = 4_000

RUNS = {
    "mlm": ("real", {"objective": "mlm"}),
    "tlm": ("real", {"objective": "tlm"}),
    "weam": ("real", {"objective": "weam"}),
    "moco": ("real", {"objective": "moco", "queue": 4096, "momentum": 0.99}),
    "mlm, derived": ("derived", {"objective": "mlm"}),
    "align_mlm, derived": ("derived", {"objective": "align_mlm"}),
}


def make_data(work: Path) -> None:
    """Writes both worlds: real/{aligned,tokenizer} and derived/{aligned,lexicon,tokenizer}."""
    options = RunOptions(workers=1, reuse=True)
    work.mkdir(parents=True, exist_ok=True)
    (work / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    ingest(str(work / "recipe.yaml"), str(work / "real"), options=options)
    real, derived = work / "real", work / "derived"
    align(str(real / "pairs"), str(real / "aligned"), config=HmmConfig(), options=options)
    transforms = DeriveConfig(transforms=("transliterate", "invert"))
    derive(str(real / "mono"), str(derived / "aligned"), config=transforms, options=options)
    entries = LexiconConfig(min_count=2)
    lexicon(str(derived / "aligned"), str(derived / "lexicon"), config=entries, options=options)
    for world in (real, derived):
        if not (world / "tokenizer").exists():
            config = TokenizerConfig(vocab_size=VOCABULARY)
            train_tokenizer([str(world / "aligned")], str(world / "tokenizer"), config=config)


def run_one(work: Path, name: str, seed: int, steps: int) -> dict[str, float]:
    """Trains one model, unless it is there, and measures it."""
    world, entry = RUNS[name]
    data = work / world
    out = work / "runs" / f"{name.replace(', ', '-')}-{steps}-{seed}"
    entry = entry | {"dataset": str(data / "aligned")}
    if entry["objective"] == "align_mlm":
        entry["lexicon"] = str(data / "lexicon")
    config = parse_config(
        PretrainConfig,
        {
            "tokenizer": str(data / "tokenizer"),
            "data": [entry],
            "steps": steps,
            "warmup_steps": steps // 10,
            "batch_tokens": 2048,
            "lr": 1e-3,
            "seed": seed,
            "precision": "bf16",
        },
        base=work,
    )
    if not (out / "bitextile.json").exists():
        pretrain(config, str(out), resume=True)
    return measure(str(out), data, world)


def measure(model: str, data: Path, world: str) -> dict[str, float]:
    """Returns the figures of one model."""
    if world == "derived":
        found = evaluate(model, task="bli", data=[str(data / "lexicon")])["results"]
        (result,) = found["lexicon"].values()
        return {"bli": result["src_to_tgt"]["value"]}
    aligned = [str(data / "aligned")]
    report = evaluate(model, task="conditional-perplexity", data=aligned, split="test")
    languages = report["results"]["aligned"]
    logs = [math.log(r["perplexity"]["value"]) for r in languages.values()]
    # The same vectors of every objective, whatever it trained.
    found = evaluate(model, task="retrieval", data=aligned, split="test", pooling="mean")
    (pair,) = found["results"].values()
    return {"perplexity": math.exp(statistics.fmean(logs)), "retrieval": pair["mean"]["value"]}


def spread(values: list[float]) -> str:
    """Returns mean and range."""
    digits = 1 if max(values) >= 2 else 3
    mean, low, high = (
        f"{v:.{digits}f}" for v in (statistics.fmean(values), min(values), max(values))
    )
    return f"{mean} ({low} to {high})"


def main() -> None:
    """Makes data and runs, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--only", nargs="*", default=list(RUNS))
    args = parser.parse_args()
    make_data(args.out)
    print(f"| run, {args.steps} steps, {args.seeds} seeds | perplexity | retrieval | embedding |")
    print("|---|---|---|---|")
    for name in args.only:
        steps = args.steps // 4 if RUNS[name][0] == "derived" else args.steps
        found = [run_one(args.out, name, seed, steps) for seed in range(args.seeds)]
        (args.out / f"{name.replace(', ', '-')}-{args.steps}.json").write_text(json.dumps(found))
        cells = [
            spread([f[column] for f in found]) if column in found[0] else ""
            for column in ("perplexity", "retrieval", "bli")
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
