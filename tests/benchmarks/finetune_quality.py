#!/usr/bin/env python
"""Does SALT, or switching whole sentences, help a classifier in languages it has no labels in?

    python tests/benchmarks/finetune_quality.py --model MODEL --vocabulary-data PAIRS --out OUT
    python tests/benchmarks/finetune_quality.py ... --tasks xnli --arms plain --seeds 1   # a look

Task data are the development sets of XNLI (2,490 rows) and PAWS-X (2,000), the only labelled data
at hand; line n of each file translates line n of the others. The same fifth of the lines is held
out in all languages: of XNLI every fifth premise with its three hypotheses (498 rows), of PAWS-X
whole groups of rows that share a sentence, so that nothing that is tested on was trained on, in
any language. Rows without a sentence are left out.

Arms, each with equal steps (--epochs passes over the English rows, --batch rows a step), learning
rate and seeds; every arm but the last sees English text with labels, and words of its own encoder:

    plain        the English rows
    copies       + a copy of each row with words switched (codeswitch --method candidates)
    mixup        + each row with its embeddings mixed with those of the candidates
    salt         + both
    sentence     the English rows and as many with whole fields switched into the other languages
                 (codeswitch --method task-field): it SEES TRANSLATED TASK TEXT, which the others do
                 not, so it is no zero-shot transfer

Accuracy on the held-out rows of each language, mean (range) over seeds; a run's accuracy has a
standard error of about 2 points. A finished run is not repeated, so the command may be stopped and
called again; fewer --seeds give the table of what is there. Take another --out for another --model.
--tune scores the plain arm on a fifth of the training rows instead, by learning rate.
"""

import argparse
import gzip
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bitextile.kernels.randomness import uniform
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig
from bitextile.pipelines.candidates import CandidateSearchConfig, task_candidates
from bitextile.pipelines.codeswitch import (
    TaskFieldSwitchConfig,
    TaskFiles,
    codeswitch_by_candidates,
    codeswitch_task_fields,
)
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import open_dataset
from bitextile.trainer.config_file import parse_config
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.finetune.config import FinetuneConfig
from bitextile.trainer.finetune.loop import finetune

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "eval"
LANGUAGES = {
    "xnli": ["en", "de", "fr", "es", "zh", "sw", "ru"],
    "pawsx": ["en", "de", "fr", "es", "zh"],
}
ARMS = ("plain", "copies", "mixup", "salt", "sentence")
OPTIONS = RunOptions(workers=1, reuse=True)


def read(task: str, language: str) -> list[list[str]]:
    """Returns the cells of a development set."""
    with gzip.open(SHARED / task / f"dev-{language}.tsv.gz", "rt", encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def groups(rows: list[list[str]]) -> np.ndarray:
    """Returns [n] for each row the number of the first row it shares a sentence with, in steps."""
    group = np.arange(len(rows))
    first: dict[str, int] = {}
    for row, cells in enumerate(rows):
        for cell in cells[:2]:
            if cell in ("", "NS"):
                continue
            other = group[first.setdefault(cell, row)]
            low, high = sorted((group[row], other))
            group[group == high] = low
    return group


def held_out(task: str, *, share: float = 0.2) -> np.ndarray:
    """Returns [n] True at the lines that are tested on."""
    rows = read(task, "en")
    group = groups(rows)
    if task == "xnli":
        return np.arange(len(rows)) // 3 % 5 == 4
    return uniform(group.astype(np.uint64), seed=0, operation="finetune_quality") < share


def make_files(work: Path, task: str) -> None:
    """Writes train and test files of each language, and of English a part to tune on."""
    test = held_out(task)
    group = groups(read(task, "en"))
    assert not set(group[test]) & set(group[~test])
    tuned = ~test & (uniform(group.astype(np.uint64), seed=1, operation="finetune_quality") < 0.2)
    work.mkdir(parents=True, exist_ok=True)
    parts = {"train": ~test, "test": test, "fit": ~test & ~tuned, "tune": tuned}
    for language in LANGUAGES[task]:
        rows = read(task, language)
        for name, chosen in parts.items():
            lines = ["\t".join(row) + "\n" for row, c in zip(rows, chosen) if c]
            (work / f"{name}-{language}.tsv").write_text("".join(lines), encoding="utf-8")


def make_augmented(
    work: Path, task: str, model: str, vocabulary_data: tuple[str, ...], known: list
) -> None:
    """Writes candidates, switched copies and switched fields of the English rows."""
    config = CandidateSearchConfig(
        languages=tuple(tag for tag in known if tag != "en"),
        model=model,
        vocabulary_data=vocabulary_data,
    )
    train, out = str(work / "train-en.tsv"), str(work / "candidates")
    task_candidates(train, out, language="en", config=config, options=OPTIONS)
    candidates = str(work / "candidates")
    switch = CandidatesSwitchConfig()
    codeswitch_by_candidates(candidates, str(work / "copies"), config=switch, options=OPTIONS)
    translations = {tag: str(work / f"train-{tag}.tsv") for tag in known if tag != "en"}
    files = TaskFiles(task="nli", language="en", file=train, translations=translations)
    fields = TaskFieldSwitchConfig()
    codeswitch_task_fields(files, str(work / "fields"), config=fields, options=OPTIONS)


def tell_candidates(work: Path) -> None:
    """Prints how many words have candidates, and the most frequent first candidates."""
    rows = open_dataset(str(work / "candidates")).table().column("candidates").to_pylist()
    words = [word for row in rows for word in row]
    firsts = Counter((word[0]["text"], word[0]["lang"]) for word in words if word)
    langs = Counter(c["lang"] for word in words for c in word)
    print(
        f"{firsts.total():,} of {len(words):,} words have candidates: {dict(langs.most_common())}"
    )
    often = [
        f"{text} ({lang}) {n / firsts.total():.1%}" for (text, lang), n in firsts.most_common(8)
    ]
    print(f"the first one is most often {', '.join(often)}")


def run_one(
    work: Path, arm: str, seed: int, args: argparse.Namespace, *, lr: float, part: str = "train"
) -> dict[str, float]:
    """Trains and scores one classifier, unless it is there."""
    out = work / "runs" / f"{arm}-{part}-{args.epochs:g}x{args.batch}-{lr:g}-{seed}"
    if (out / "scores.json").exists():
        return dict(json.loads((out / "scores.json").read_text()))
    train = [{"file": str(work / f"{part}-en.tsv"), "language": "en"}]
    n_rows = len((work / f"{part}-en.tsv").read_text(encoding="utf-8").splitlines())
    if arm == "sentence":
        train.append({"dataset": str(work / "fields")})
    content = {
        "model": args.model,
        "train": train,
        "copies": [str(work / "copies")] if arm in ("copies", "salt") else [],
        "candidates": [str(work / "candidates")] if arm in ("mixup", "salt") else [],
        "steps": round(args.epochs * n_rows / args.batch),
        "batch_rows": args.batch,
        "lr": lr,
        "seed": seed,
        "precision": args.precision,
    }
    began = time.process_time()
    finetune(parse_config(FinetuneConfig, content, base=work), str(out), resume=True)
    tested = "tune" if part == "fit" else "test"
    files = [str(path) for path in sorted(work.glob(f"{tested}-*.tsv"))]
    found = evaluate(str(out), task="classification", data=files)["results"]
    scores = {Path(n).stem.split("-")[1]: r["accuracy"]["value"] for n, r in found.items()}
    scores["cpu_minutes"] = (time.process_time() - began) / 60
    (out / "scores.json").write_text(json.dumps(scores))
    return scores


def majority(work: Path, language: str, tested: str = "test") -> float:
    """Returns the accuracy of always saying the most frequent label."""
    lines = (work / f"{tested}-{language}.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    labels = [row[2] for row in rows if not {"", "NS"} & {cell.strip() for cell in row[:2]}]
    return max(map(labels.count, set(labels))) / len(labels)


def spread(values: Iterable[float]) -> str:
    """Returns mean and range, in percent; of one value itself."""
    percent = [100 * value for value in values]
    if len(percent) == 1:
        return f"{percent[0]:.1f}"
    return f"{statistics.fmean(percent):.1f} ({min(percent):.1f} to {max(percent):.1f})"


def show(work: Path, task: str, arms: list[str], args: argparse.Namespace) -> None:
    """Runs what is missing and prints the table."""
    for seed in range(args.seeds):  # all arms with a seed before the next, should time run out
        for arm in arms:
            run_one(work, arm, seed, args, lr=args.lr)
    languages = LANGUAGES[task]
    print(f"| {task}, {args.seeds} seeds | {' | '.join(languages)} | mean but en | CPU minutes |")
    print("|---" * (len(languages) + 3) + "|")
    cells = [f"{100 * majority(work, tag):.1f}" for tag in languages]
    print(f"| most frequent label | {' | '.join(cells)} | | |")
    others = [tag for tag in languages if tag in args.known and tag != "en"]
    for arm in arms:
        found = [run_one(work, arm, s, args, lr=args.lr) for s in range(args.seeds)]
        cells = [spread(f[tag] for f in found) for tag in languages]
        cells.append(spread(statistics.fmean(f[tag] for tag in others) for f in found))
        cells.append(f"{statistics.fmean(f['cpu_minutes'] for f in found):.1f}")
        print(f"| {arm} | {' | '.join(cells)} |", flush=True)


def tune(work: Path, args: argparse.Namespace) -> None:
    """Prints the accuracy on a fifth of the training rows, by learning rate."""
    print(f"majority {majority(work, 'en', 'tune'):.3f}")
    for lr in args.rates:
        found = [run_one(work, "plain", s, args, lr=lr, part="fit") for s in range(args.seeds)]
        how = f"lr {lr:g}, {args.epochs:g} epochs, batch {args.batch}"
        print(f"{how}: en {spread(f['en'] for f in found)}", flush=True)


def main() -> None:
    """Makes data and runs, and prints a table for each task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", required=True, help="encoder to fine-tune")
    parser.add_argument(
        "--vocabulary-data", nargs="+", required=True, help="datasets that tell languages"
    )
    parser.add_argument("--known", nargs="+", default=["en", "de", "fr", "es", "zh", "sw"])
    parser.add_argument("--tasks", nargs="+", default=list(LANGUAGES))
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-4, 2e-4, 5e-4])
    args = parser.parse_args()
    args.model = str(Path(args.model).resolve())
    vocabulary_data = tuple(str(Path(path).resolve()) for path in args.vocabulary_data)
    for task in args.tasks:
        work = (args.out / task).resolve()
        make_files(work, task)
        if args.tune:
            tune(work, args)
            continue
        known = [tag for tag in LANGUAGES[task] if tag in args.known]
        if set(args.arms) - {"plain"}:
            make_augmented(work, task, args.model, vocabulary_data, known)
            tell_candidates(work)
        show(work, task, args.arms, args)


if __name__ == "__main__":
    main()
