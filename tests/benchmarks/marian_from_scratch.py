#!/usr/bin/env python
"""A real encoder-decoder for `backtranslate`: trained from scratch, no download, then measured.

    OMP_NUM_THREADS=1 python tests/benchmarks/marian_from_scratch.py --out marian-out

It translates from German into English; `--from en --to de` is the other way.

Data: multi30k en-de, 29,000 pairs to learn from; the 1,000 sentences of test_2016_flickr in the
source language are what is translated, their other side is the reference. Model: MarianMTModel, 3 +
3 layers of width 256, one shared vocabulary of 8,000 SentencePiece pieces; label smoothing 0.1,
Adam, bf16 autocast. Its folder (OUT/FROM-TO/model) is one that AutoModelForSeq2SeqLM loads;
CTranslate2's own converter makes the folders beside it, in float32 and in int8.

Each stage is skipped if its output is there, and training goes on from its last checkpoint, so the
command may be stopped and called again. BLEU and chrF are sacrebleu's, over the sentences that the
translation filter keeps. Sentences a second are those of a loaded engine on all 1,000, in CPU time,
on which other work on the machine tells less; the best of several rounds in which the engines take
turns.
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
import sentencepiece
import torch
from torch.nn import functional
from transformers import MarianConfig, MarianMTModel, MarianTokenizer

from bitextile.kernels.backtranslate import draw_targets
from bitextile.pipelines.backtranslate import BacktranslateConfig, backtranslate
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.kinds import MONO
from bitextile.trainer.generate.config import Ctranslate2Config, Seq2seqConfig
from bitextile.trainer.generate.ctranslate2 import Ctranslate2Engine
from bitextile.trainer.generate.seq2seq import Seq2seqEngine

MULTI30K = Path(__file__).resolve().parents[3] / "shared" / "data" / "parallel" / "multi30k"
PAIRS_RECIPE = f"""
bitext:
  - {{corpus: test, languages: [de, en], split: test,
     files: [{MULTI30K}/test_2016_flickr.de.gz, {MULTI30K}/test_2016_flickr.en.gz]}}
  - {{corpus: train, languages: [de, en], split: train,
     files: [{MULTI30K}/train.de.gz, {MULTI30K}/train.en.gz]}}
"""
MONO_RECIPE = """
mono:
  - {{corpus: test, language: {src}, split: test, files: [{folder}/test_2016_flickr.{src}.gz]}}
"""
VOCABULARY = 8_000
LAYERS, WIDTH, FEED_FORWARD, HEADS = 3, 256, 1_024, 4
POSITIONS = 256
SMOOTHING = 0.1
BATCH_TOKENS = 1_024
"""Target positions of a step, padding included."""
PEAK_LR = 1e-3
SAVE_STEPS = 100

Pair = tuple[list[int], list[int]]


def make_data(work: Path, src: str, tgt: str) -> None:
    """Writes WORK/pairs, to learn from, and WORK/SRC-TGT/mono, to translate."""
    mono = MONO_RECIPE.format(src=src, folder=MULTI30K)
    for place, recipe in ((work, PAIRS_RECIPE), (work / f"{src}-{tgt}", mono)):
        place.mkdir(parents=True, exist_ok=True)
        (place / "recipe.yaml").write_text(recipe, encoding="utf-8")
        ingest(str(place / "recipe.yaml"), str(place), options=RunOptions(workers=1, reuse=True))


def sides(work: Path, src: str, split: str) -> list[tuple[str, str]]:
    """Returns source and target of each pair."""
    table = open_dataset(str(work / "pairs")).table()
    table = table.filter(np.asarray(table["split"]) == split)
    columns = ("src", "tgt") if table["src_lang"][0].as_py() == src else ("tgt", "src")
    return list(zip(*(table[column].to_pylist() for column in columns)))


def make_tokenizer(folder: Path, texts: list[str]) -> Any:
    """Writes a Marian tokenizer: one SentencePiece model for both sides, vocab.json."""
    folder.mkdir(parents=True, exist_ok=True)
    spm = folder / "source.spm"
    if not (folder / "vocab.json").exists():
        with spm.open("wb") as written:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=written,
                vocab_size=VOCABULARY,
                minloglevel=2,
            )
        (folder / "target.spm").write_bytes(spm.read_bytes())
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(spm))
        names = [pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size())]
        vocabulary = {name: i for i, name in enumerate(["</s>", "<unk>", *names, "<pad>"])}
        (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    files = (str(folder / name) for name in ("source.spm", "target.spm", "vocab.json"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends sacremoses
        return MarianTokenizer(*files, model_max_length=POSITIONS)


def build(tokenizer: Any) -> MarianMTModel:
    """Returns the model with random weights."""
    pad = tokenizer.pad_token_id
    sizes = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (("layers", LAYERS), ("ffn_dim", FEED_FORWARD))
    }
    torch.manual_seed(0)
    return MarianMTModel(
        MarianConfig(
            vocab_size=pad + 1, d_model=WIDTH, scale_embedding=True, dropout=0.1,
            encoder_attention_heads=HEADS, decoder_attention_heads=HEADS,
            max_position_embeddings=POSITIONS, pad_token_id=pad, decoder_start_token_id=pad,
            eos_token_id=tokenizer.eos_token_id, forced_eos_token_id=tokenizer.eos_token_id,
            **sizes,
        )
    )  # fmt: skip


def batches(pairs: list[Pair], epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields padded sources and targets of alike lengths, in random order; -1 is padding."""
    generator = np.random.default_rng(epoch)
    jitter = generator.uniform(0, 2, len(pairs))
    order = sorted(
        range(len(pairs)), key=lambda i: (len(pairs[i][1]), len(pairs[i][0]) + jitter[i])
    )
    groups, group = [], list[int]()
    for i in order:
        if (len(group) + 1) * len(pairs[i][1]) > BATCH_TOKENS:
            groups.append(group)
            group = []
        group.append(i)
    groups.append(group)
    for at in generator.permutation(len(groups)):
        src, tgt = (padded([pairs[i][side] for i in groups[at]]) for side in (0, 1))
        yield src, tgt


def padded(rows: list[list[int]]) -> torch.Tensor:
    tensors = [torch.tensor(row) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=-1)


def loss_of(model: MarianMTModel, src: torch.Tensor, tgt: torch.Tensor) -> torch.Tensor:
    """Returns the mean over target tokens.

    <pad> is left out of the softmax: it is never said, and its vector, from which the decoder
    starts, must stay zero, for CTranslate2's converter takes it to be.
    """
    pad = model.config.pad_token_id
    shifted = torch.cat([torch.full_like(tgt[:, :1], pad), tgt[:, :-1]], dim=1)
    states = model.model(
        input_ids=src.where(src >= 0, pad),
        attention_mask=(src >= 0).long(),
        decoder_input_ids=shifted.where(shifted >= 0, pad),
    ).last_hidden_state
    here = tgt >= 0
    logits = functional.linear(states[here], model.lm_head.weight[:pad])
    return functional.cross_entropy(logits.float(), tgt[here], label_smoothing=SMOOTHING)


def rate(step: int, steps: int) -> float:
    """Returns the learning rate: up for a tenth of the steps, then down along a cosine."""
    warmup = steps / 10
    down = 0.5 * (1 + math.cos(math.pi * max(step - warmup, 0) / (steps - warmup)))
    return PEAK_LR * min((step + 1) / warmup, down)


def train(work: Path, src: str, tgt: str, steps: int) -> Path:
    """Returns the folder of the model, trained unless it is there."""
    run = work / f"{src}-{tgt}"
    texts = sides(work, src, "train")
    tokenizer = make_tokenizer(run / "tokenizer", [text for pair in texts for text in pair])
    if (run / "model" / "training.json").exists():
        return run / "model"
    pairs = [(tokenizer(s)["input_ids"], tokenizer(text_target=t)["input_ids"]) for s, t in texts]
    model = build(tokenizer).train()
    model.set_attn_implementation("eager")  # on short sentences 1.5 times as fast as SDPA on a CPU
    optimizer = torch.optim.Adam(model.parameters(), lr=PEAK_LR, betas=(0.9, 0.98))
    state = {"step": 0, "epoch": 0, "cpu_s": 0.0}
    if (saved := run / "checkpoint.pt").exists():
        state, weights, moments = torch.load(saved, weights_only=True)
        model.load_state_dict(weights)
        optimizer.load_state_dict(moments)
    while state["step"] < steps:
        one_epoch(model, optimizer, pairs, state=state, steps=steps, saved=saved)
    model.eval().save_pretrained(run / "model")
    tokenizer.save_pretrained(run / "model")
    told = {"steps": steps, "epochs": state["epoch"], "cpu_minutes": state["cpu_s"] / 60}
    told["parameters"] = sum(p.numel() for p in model.parameters())
    (run / "model" / "training.json").write_text(json.dumps(told))
    return run / "model"


def one_epoch(
    model: MarianMTModel,
    optimizer: torch.optim.Optimizer,
    pairs: list[Pair],
    *,
    state: dict[str, Any],
    steps: int,
    saved: Path,
) -> None:
    """Trains for an epoch, or for what was left of it at the last checkpoint."""
    done = state.get("batch", 0)
    losses = list[float]()
    began = time.process_time()
    for number, (src, tgt) in enumerate(batches(pairs, state["epoch"])):
        if number < done:
            continue
        torch.manual_seed(state["step"])  # of dropout: a resumed run draws the same
        for group in optimizer.param_groups:
            group["lr"] = rate(state["step"], steps)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, src, tgt)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        state["step"] += 1
        state["batch"] = number + 1
        if state["step"] % SAVE_STEPS == 0 or state["step"] == steps:
            state["cpu_s"] += time.process_time() - began
            began = time.process_time()
            save(saved, model, optimizer, state)
            print(
                f"step {state['step']:,} epoch {state['epoch']} loss {np.mean(losses):.3f} "
                f"{state['cpu_s'] / 60:.1f} CPU minutes",
                flush=True,
            )
            losses = []
        if state["step"] == steps:
            return
    state["cpu_s"] += time.process_time() - began
    state["epoch"] += 1
    state["batch"] = 0


def save(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Writes a checkpoint so that there is always a whole one."""
    part = path.with_suffix(".part")
    torch.save((state, model.state_dict(), optimizer.state_dict()), part)
    part.replace(path)


@dataclass(frozen=True)
class Way:
    """One way to translate: a model's folder and an engine's settings."""

    name: str
    model: str
    config: Seq2seqConfig | Ctranslate2Config


WAYS = (
    Way("seq2seq, 4 beams", "model", Seq2seqConfig()),
    Way("seq2seq, 1 beam", "model", Seq2seqConfig(beam_size=1)),
    Way("seq2seq, of the 10 best", "model", Seq2seqConfig(top_k=10)),
    Way("ctranslate2, 4 beams", "ctranslate2", Ctranslate2Config()),
    Way("ctranslate2, 1 beam", "ctranslate2", Ctranslate2Config(beam_size=1)),
    Way("ctranslate2, int8, 4 beams", "ctranslate2-int8", Ctranslate2Config()),
)
TWINS = {way.name: way.name.replace("ctranslate2", "seq2seq").replace(", int8", "") for way in WAYS}
"""What a way is compared with, text by text."""


def convert(model: Path) -> None:
    """Writes the model for CTranslate2 beside it, unless it is there."""
    from ctranslate2.converters import TransformersConverter

    tokenizer = ["source.spm", "target.spm", "vocab.json", "tokenizer_config.json"]
    for name, quantization in (("ctranslate2", None), ("ctranslate2-int8", "int8")):
        if not (out := model.parent / name).exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it recommends sacremoses
                made = TransformersConverter(str(model), copy_files=tokenizer)
                made.convert(str(out), quantization=quantization)


def translate(run: Path, way: Way, tgt: str) -> Dataset:
    """Returns the dataset that `backtranslate` writes, written unless it is there."""
    config = BacktranslateConfig(
        model=str(run / way.model), weights={tgt: 1.0}, engine=way.config, split="test"
    )
    out = run / "pseudo" / way.name.replace(", ", "-").replace(" ", "-")
    options = RunOptions(workers=1, reuse=True)
    return backtranslate(str(run / "mono"), str(out), config=config, options=options).dataset


def speeds(run: Path, tgt: str, rounds: int) -> dict[str, float]:
    """Returns sentences a CPU second of each way."""
    rows = open_dataset(str(run / "mono"), MONO).table().combine_chunks().to_batches()[0]
    rows = draw_targets(rows, weights={tgt: 1.0}, seed=0)
    loaded: dict[str, Callable[[Any], Any]] = {}
    for way in WAYS:
        engine: Any = Ctranslate2Engine
        if isinstance(way.config, Seq2seqConfig):
            engine = Seq2seqEngine
        loaded[way.name] = engine(folder=str(run / way.model), digest="", config=way.config).load()
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, engine in loaded.items():
            began = time.process_time()
            engine(rows)
            took = time.process_time() - began
            best[name] = max(best.get(name, 0.0), rows.num_rows / took)
    return best


def report(work: Path, src: str, tgt: str, rounds: int) -> None:
    """Prints a row for each way."""
    run = work / f"{src}-{tgt}"
    print((run / "model" / "training.json").read_text())
    references = dict(sides(work, src, "test"))
    made = {way.name: translate(run, way, tgt) for way in WAYS}
    if not (measured := run / f"speeds-{rounds}.json").exists():
        measured.write_text(json.dumps(speeds(run, tgt, rounds)))
    rates = json.loads(measured.read_text())
    said = {
        name: dict(zip(*(dataset.table()[c].to_pylist() for c in ("src", "tgt"))))
        for name, dataset in made.items()
    }
    print(f"| {src} -> {tgt} | BLEU | chrF | score | rejects | as seq2seq | sentences/CPU s |")
    print("|---|---|---|---|---|---|---|")
    for name, dataset in made.items():
        texts, twin = said[name], said[TWINS[name]]
        quality = [
            measure(list(texts.values()), [[references[source] for source in texts]]).score
            for measure in (sacrebleu.corpus_bleu, sacrebleu.corpus_chrf)
        ]
        same = np.mean([twin.get(source) == text for source, text in texts.items()])
        counts = dataset.manifest.counts
        rejects = ", ".join(f"{n} {rule}" for rule, n in counts.rejected.items()) or "0"
        score = np.mean(dataset.table()["score"].to_numpy())
        cells = [f"{q:.1f}" for q in quality] + [f"{score:.3f}", f"{rejects} of {counts.read}"]
        cells += ["" if name == TWINS[name] else f"{same:.1%}", f"{rates[name]:.0f}"]
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    """Makes data and model, and prints what the engines make of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--from", dest="src", default="de", choices=["de", "en"])
    parser.add_argument("--to", dest="tgt", default="en", choices=["de", "en"])
    parser.add_argument("--steps", type=int, default=2_400)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.src == args.tgt:
        parser.error(f"--from and --to are both {args.src}")
    make_data(args.out, args.src, args.tgt)
    convert(train(args.out, args.src, args.tgt, args.steps))
    report(args.out, args.src, args.tgt, args.rounds)


if __name__ == "__main__":
    main()
