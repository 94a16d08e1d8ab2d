"""Sentences per second of generation and alignment on the device.

Models have random weights at base geometry: what they say does not matter here.
"""

import statistics
import tempfile
import time
from collections.abc import Callable

import pyarrow as pa
import torch
from setting import SMALL, Row, Setting
from transformers import AutoConfig, AutoModel

from bitextile.kernels.align.encoder.aligner import EncoderAligner
from bitextile.kernels.align.encoder.config import SimalignConfig
from bitextile.kernels.backtranslate import draw_targets
from bitextile.kernels.text.segment import segment
from bitextile.schema.dataset import open_dataset
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.tokens import load_tokenizer
from bitextile.trainer.generate.camlm import CamlmEngine, CamlmGenerator
from bitextile.trainer.generate.candidates import CandidateFinder, CandidatesEngine
from bitextile.trainer.generate.checkpoint import Checkpoint
from bitextile.trainer.generate.config import CamlmConfig, CandidatesConfig
from bitextile.trainer.model.build import PRESETS, build_encoder
from bitextile.transforms.align_encoder import TorchEncoder

TARGET = "zxx"
"""A tag that no dataset has: the language that is generated."""


def rate(n: int, work: Callable[[], object], runs: int = 3) -> float:
    """Returns items per second: the median of several runs after one to warm up."""
    work()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return n / statistics.median(times)


def checkpoint(setting: Setting, lang: str) -> Checkpoint:
    """Returns a random model with embeddings of two languages."""
    tokenizer = load_tokenizer(setting.large_tokenizer)
    model = {"config": SMALL} if setting.tiny else {"preset": "base"}
    tags = (lang, TARGET)
    encoder = build_encoder(
        ModelConfig.model_validate(model), tokenizer, max_length=512, seed=0, languages=tags
    )
    index = {tag: i for i, tag in enumerate(tags)}
    return Checkpoint(encoder.to(setting.device).eval(), tokenizer, 512, index, setting.device)


def rows(setting: Setting) -> list[Row]:
    """Returns a row per generator and aligner."""
    mono = open_dataset(str(setting.data / "mono")).table()
    batch = mono.slice(0, 40 if setting.tiny else 4_000).combine_chunks().to_batches()[0]
    lang = batch.column("lang")[0].as_py()
    ready = checkpoint(setting, lang)
    ratios = ((lang, TARGET, 1.0),)
    engine = CamlmEngine(folder="none", digest="none", ratios=ratios, config=CamlmConfig())
    camlm = CamlmGenerator(ready, engine)
    requests = draw_targets(batch, weights={TARGET: 1.0}, seed=0)
    n = len(requests)
    found = [
        Row(
            "generation",
            "backtranslate, camlm",
            f"{rate(n, lambda: camlm(requests)):,.0f} sentences/s",
        )
    ]
    words = tuple(range(100, 100 + min(5_000, ready.tokenizer.size // 2)))
    finder = CandidateFinder(
        ready,
        CandidatesEngine(
            folder="none",
            digest="none",
            vocabulary=((TARGET, words),),
            config=CandidatesConfig(languages=(TARGET,)),
        ),
    )
    few = batch.slice(0, 20 if setting.tiny else 1_000)
    value = f"{rate(len(few), lambda: finder(few)):,.0f} sentences/s"
    found.append(Row("generation", "candidates", value))
    return found + alignment_rows(setting)


def alignment_rows(setting: Setting) -> list[Row]:
    """Returns pairs per second of the encoder's aligner, beside simalign where it is installed."""
    table = open_dataset(str(setting.data / "pairs")).table()
    n = 20 if setting.tiny else 4_000
    table = table.slice(0, n).combine_chunks()
    sides = []
    for side in ("src", "tgt"):
        texts = table.column(side).to_pylist()
        lang = table.column(f"{side}_lang")[0].as_py()
        spans = segment(pa.array(texts), lang).to_pylist()
        sides.append([[t[s["start"] : s["end"]] for s in row] for t, row in zip(texts, spans)])
    src, tgt = sides
    tokenizer = load_tokenizer(setting.large_tokenizer)
    layer = 2 if setting.tiny else 8
    found = []
    with tempfile.TemporaryDirectory() as folder:
        geometry = SMALL if setting.tiny else PRESETS["base"]
        torch.manual_seed(0)
        config = AutoConfig.for_model(
            **geometry | {"vocab_size": tokenizer.size, "max_position_embeddings": 514}
        )
        AutoModel.from_config(config).save_pretrained(folder)
        tokenizer.pretrained.save_pretrained(folder)
        encoder = TorchEncoder(folder, layer=layer, device=setting.device.type)
        aligner = EncoderAligner(encoder, SimalignConfig(encoder=folder, layer=layer))
        first, second = pa.array(src), pa.array(tgt)
        ours = rate(n, lambda: aligner.align(first, second))
        found.append(Row("generation", "align --aligner simalign", f"{ours:,.0f} pairs/s"))
        found += _simalign_rows(setting, folder, layer, src, tgt, ours)
    return found


def _simalign_rows(
    setting: Setting, folder: str, layer: int, src: list, tgt: list, ours: float
) -> list[Row]:
    try:
        from simalign import SentenceAligner
    except ImportError as error:
        return [Row("generation", "simalign's own code", f"not installed ({error})")]
    theirs = SentenceAligner(
        folder,
        token_type="bpe",
        matching_methods="a",
        layer=layer,
        device=setting.device.type,
    )
    n = 10 if setting.tiny else 200
    work = [(a, b) for a, b in zip(src[:n], tgt[:n]) if a and b]
    value = rate(n, lambda: [theirs.get_word_aligns(a, b) for a, b in work], runs=1)
    goal, met = ("", None) if setting.tiny else ("ours >= 50 x", ours / value >= 50)
    shown = f"{value:,.1f} pairs/s; ours is {ours / value:.0f} x"
    return [Row("generation", "simalign's own code", shown, goal, met)]
