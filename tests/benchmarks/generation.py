"""How fast `camlm` generates, against its own forward passes and against a sentence at a time.

    OMP_NUM_THREADS=1 python tests/benchmarks/generation.py TOKENIZER MONO [--rows 512]

TOKENIZER is a tokenizer's folder, MONO a dataset of one language. The model is the mini preset with
random weights: what it generates does not matter here. "one by one" is the same code, a sentence
per call; "plainly" is what one would write with transformers. All are timed in turn, several times
in one run, and the best of each counts, so that other work on the machine tells on all alike.
"""

import argparse
import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from bitextile.kernels.backtranslate import draw_targets
from bitextile.schema.dataset import open_dataset
from bitextile.schema.kinds import MONO
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.tokens import Tokenizer, load_tokenizer
from bitextile.trainer.generate.camlm import CamlmEngine, CamlmGenerator
from bitextile.trainer.generate.checkpoint import Checkpoint
from bitextile.trainer.generate.config import CamlmConfig
from bitextile.trainer.generate.packed_linear import pack_linear_layers
from bitextile.trainer.generate.parallel import BATCH_TOKENS, length_buckets
from bitextile.trainer.model.build import build_encoder

MAX_LENGTH = 256
TARGET = "zxx"
"""A tag that no dataset has: the language that is generated."""


def make_generator(tokenizer_folder: str, lang: str) -> tuple[CamlmGenerator, Any]:
    """Returns the generator, and its model as transformers has it."""
    tokenizer = load_tokenizer(tokenizer_folder)
    tags = (lang, TARGET)
    model = ModelConfig(preset="mini")
    encoder = build_encoder(model, tokenizer, max_length=MAX_LENGTH, seed=0, languages=tags).eval()
    plain = copy.deepcopy(encoder.mlm)
    pack_linear_layers(encoder)
    ready = Checkpoint(
        encoder, tokenizer, MAX_LENGTH, {tag: i for i, tag in enumerate(tags)}, torch.device("cpu")
    )
    engine = CamlmEngine(
        folder="none", digest="none", ratios=((lang, TARGET, 1.0),), config=CamlmConfig()
    )
    return CamlmGenerator(ready, engine), plain


def forward_passes(generator: CamlmGenerator, rows: pa.RecordBatch) -> Callable[[], None]:
    """Returns the model's work alone, on rows packed beforehand."""
    tokenizer, encoder = generator.checkpoint.tokenizer, generator.checkpoint.encoder
    pair = (rows["lang"][0].as_py(), TARGET)
    sides = tokenizer.encode(rows.column("text").to_pylist())
    inputs = [generator._input(s.ids, len(s.ids), pair) for s in sides]
    work = []
    lengths = [len(i.tokens) for i in inputs]
    for bucket in length_buckets(lengths, generator.checkpoint.device):
        part = [inputs[i] for i in bucket]
        shown = np.concatenate([i.tokens for i in part])
        packed, places = generator._packed(part, shown)
        masks = np.concatenate([i.maskable for i in part])
        work.append((packed, torch.from_numpy(places[masks])))

    def run() -> None:
        with torch.inference_mode():
            for packed, places in work:
                encoder.logits(encoder.vectors(packed)[places])

    return run


def one_by_one(generator: CamlmGenerator, rows: pa.RecordBatch) -> None:
    for i in range(rows.num_rows):
        generator(rows.slice(i, 1))


def plainly(mlm: Any, language: torch.Tensor, tokenizer: Tokenizer, rows: pa.RecordBatch) -> None:
    """The same generation as one writes it down: transformers, a sentence at a time."""
    ordinary = torch.from_numpy(tokenizer.ordinary.astype(np.int64))
    for text in rows.column("text").to_pylist():
        source = tokenizer.pretrained(text, add_special_tokens=False)["input_ids"]
        n = len(source)
        ids = torch.tensor([[tokenizer.cls, *source, tokenizer.sep, *[tokenizer.mask] * n]])
        sees = torch.ones(1, 1, 2 * n + 2, 2 * n + 2, dtype=torch.bool)
        sees[:, :, : n + 2, n + 2 :] = False
        tags = torch.tensor([[0] * (n + 2) + [1] * n])
        with torch.inference_mode():
            logits = mlm(
                inputs_embeds=mlm.get_input_embeddings()(ids) + language[tags],
                position_ids=torch.arange(2 * n + 2)[None] + tokenizer.pad + 1,
                attention_mask=sees,
            ).logits[0, n + 2 :, ordinary]
            best = logits.log_softmax(dim=1).max(dim=1)
        tokenizer.pretrained.decode(ordinary[best.indices])
        best.values.mean().item()


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokenizer")
    parser.add_argument("mono")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-tokens", type=int, default=BATCH_TOKENS["cpu"])
    given = parser.parse_args()
    BATCH_TOKENS["cpu"] = given.batch_tokens
    dataset = open_dataset(given.mono, MONO)
    key = dataset.keys[0]
    rows = dataset.table(key=key).slice(0, given.rows).combine_chunks().to_batches()[0]
    generator, plain = make_generator(given.tokenizer, rows["lang"][0].as_py())
    asked = draw_targets(rows, weights={TARGET: 1.0}, seed=0)
    passes = forward_passes(generator, asked)
    tokenizer, language = (
        generator.checkpoint.tokenizer,
        generator.checkpoint.encoder.language.weight.detach(),
    )
    best: dict[str, float] = {}
    for _ in range(given.repeats):
        for name, work in (
            ("batched", lambda: generator(asked)),
            ("forward", passes),
            ("one by one", lambda: one_by_one(generator, asked)),
            ("plainly", lambda: plainly(plain, language, tokenizer, asked)),
        ):
            best[name] = min(best.get(name, float("inf")), seconds(work))
    n, size = asked.num_rows, generator.checkpoint.tokenizer.size
    print(f"{n} sentences of {key}, vocabulary {size:,}, {torch.get_num_threads()} thread(s)")
    for name, took in best.items():
        print(f"{name:<11} {took:6.2f} s  {n / took:7.1f} sentences/s")
    for name in ("one by one", "plainly"):
        print(f"batched / {name}: {best[name] / best['batched']:.1f} x as fast")
    print(f"batched / forward:    {best['batched'] / best['forward']:.2f} of its time")


if __name__ == "__main__":
    main()
