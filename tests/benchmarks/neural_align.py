"""Pairs per second of our neural engine and of simalign, with the same encoder, in one run.

    python tests/benchmarks/neural_align.py [--pairs 200] [--runs 3] [--matching inter]

The encoder has BERT-base's shape and random weights, the pairs are multi30k en-de (first of
`test_2016_flickr`, in ../shared/data). The two take turns, so that other load on the machine hits
both; given are medians. On a machine with a GPU the encoder runs there too, in half precision.
simalign computes the one matching that is asked for, as ours does.
"""

import argparse
import gzip
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import regex
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

from bitextile.kernels.align.encoder.aligner import EncoderAligner
from bitextile.kernels.align.encoder.config import SimalignConfig
from bitextile.transforms.align_encoder import TorchEncoder

MULTI30K = Path(__file__).parents[3] / "shared" / "data" / "parallel" / "multi30k"
LAYER = 8
LETTER = {"inter": "a", "itermax": "i", "mwmf": "m"}


def sentences(language: str, n: int) -> list[list[str]]:
    with gzip.open(MULTI30K / f"test_2016_flickr.{language}.gz", "rt", encoding="utf-8") as lines:
        return [regex.findall(r"\w+|[^\w\s]", line) for line, _ in zip(lines, range(n))]


def make_encoder(folder: str, texts: list[list[str]]) -> None:
    tokenizer = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
    words = (" ".join(text) for text in texts)
    tokenizer.train_from_iterator(words, vocab_size=8_000, show_progress=False)
    fast = BertTokenizerFast(tokenizer_object=tokenizer._tokenizer, model_max_length=512)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(fast))).save_pretrained(folder)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--matching", default="inter", choices=LETTER)
    parser.add_argument("--token-type", default="bpe", choices=["bpe", "word"])
    given = parser.parse_args()
    from simalign import SentenceAligner

    logging.getLogger("simalign").setLevel(logging.WARNING)
    torch.set_num_threads(given.threads)
    src, tgt = (sentences(language, given.pairs) for language in ("en", "de"))
    first, second = pa.array(src), pa.array(tgt)
    config = SimalignConfig(
        encoder="", matching=given.matching, token_type=given.token_type, layer=LAYER
    )
    with tempfile.TemporaryDirectory() as folder:
        make_encoder(folder, sentences("en", 1_000) + sentences("de", 1_000))
        ours = {"ours, cpu": TorchEncoder(folder, layer=LAYER, device="cpu")}
        if torch.cuda.is_available():
            ours["ours, cuda"] = TorchEncoder(folder, layer=LAYER, device="cuda")
        theirs = SentenceAligner(
            folder,
            token_type=given.token_type,
            matching_methods=LETTER[given.matching],
            layer=LAYER,
        )
    engines: dict[str, Callable[[], object]] = {
        name: partial(EncoderAligner(encoder, config).align, first, second)
        for name, encoder in ours.items()
    }
    engines["simalign, cpu"] = lambda: [theirs.get_word_aligns(a, b) for a, b in zip(src, tgt)]
    for name in ours:
        engines[name]()
    times = {name: [] for name in engines}
    for _ in range(given.runs):
        for name, work in engines.items():
            times[name].append(seconds(work))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        ratio = medians["simalign, cpu"] / median
        print(f"{name:<14} {given.pairs / median:9.1f} pairs/s   {ratio:6.1f} x simalign")


if __name__ == "__main__":
    main()
