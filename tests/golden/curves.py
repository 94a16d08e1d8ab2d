#!/usr/bin/env python
"""The loss of each objective over 30 steps on the embedded sample, on a CPU in float32.

python tests/golden/curves.py        # writes curves.json anew; say in the commit why it changed
"""

import importlib.resources
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.kernels.tokenizer.unigram import TokenizerConfig
from bitextile.pipelines.align import align
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.lexicon import lexicon
from bitextile.pipelines.runner.options import RunOptions
from bitextile.pipelines.tokenizer import train_tokenizer
from bitextile.schema.dataset import open_dataset
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import PSEUDO
from bitextile.schema.manifest import Counts, Manifest, write_manifest
from bitextile.schema.shards import shard_path, write_shard
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.config_file import parse_config
from bitextile.trainer.observe.metrics import METRICS
from bitextile.trainer.train.pretrain import pretrain

CURVES = Path(__file__).with_name("curves.json")
SAMPLE = importlib.resources.files("bitextile.pipelines") / "sample"
RECIPE = f"""
bitext:
  - {{corpus: gold, languages: [en, de], files: [{SAMPLE}/gold.en-de.jsonl], columns: [src, tgt]}}
  - {{corpus: sample, languages: [en, zh], files: [{SAMPLE}/gold.en-zh.jsonl], columns: [src, tgt]}}
mono:
  - {{corpus: sample, language: de, files: [{SAMPLE}/mono.de.txt]}}
"""
MODEL = {
    "model_type": "xlm-roberta",
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 96,
    "attention_probs_dropout_prob": 0.0,
}
ENTRIES: dict[str, dict[str, Any]] = {
    "mlm": {"dataset": "mono"},
    "tlm": {"dataset": "pairs"},
    "weam": {"dataset": "aligned"},
    "camlm": {"dataset": "pairs"},
    "btmlm": {"dataset": "pseudo"},
    "moco": {"dataset": "pairs", "queue": 64},
    "align_mlm": {"dataset": "pairs", "lexicon": "lexicon"},
    "dict_mlm": {"dataset": "pairs", "lexicon": "lexicon"},
}


def make_data(root: Path) -> None:
    """Writes one dataset of each kind and a tokenizer, by the commands and, for pseudo, by hand."""
    options = RunOptions(workers=1)
    (root / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    ingest(str(root / "recipe.yaml"), str(root), options=options)
    words = HmmConfig(segmenter="characters")
    align(str(root / "pairs"), str(root / "aligned"), config=words, options=options)
    entries = LexiconConfig(min_count=1)
    lexicon(str(root / "aligned"), str(root / "lexicon"), config=entries, options=options)
    corpora = [str(root / "pairs"), str(root / "mono")]
    train_tokenizer(corpora, str(root / "tokenizer"), config=TokenizerConfig(vocab_size=700))
    write_pseudo(root)


def write_pseudo(root: Path) -> None:
    """Writes the German sides of the pairs with their translations, as if back-translated."""
    pairs = open_dataset(str(root / "pairs")).table(key="de-en")
    src, tgt = pairs.column("tgt").combine_chunks(), pairs.column("src").combine_chunks()
    table = pa.table(
        {
            "text_id": text_ids("de", src),
            "src_lang": pairs.column("tgt_lang"),
            "tgt_lang": pairs.column("src_lang"),
            "src": src,
            "tgt": tgt,
            "tgt_tokens": pa.array([[]] * len(pairs), PSEUDO.schema.field("tgt_tokens").type),
            "score": pa.array([0.0] * len(pairs), pa.float32()),
            "generator": pa.array(["hand"] * len(pairs)),
        }
    )
    # A sentence with several translations stands here once: by the first of them.
    first = table.append_column("row", pa.array(range(len(table)))).group_by("text_id")
    rows = first.aggregate([("row", "min")]).column("row_min")
    table = table.take(rows).sort_by("text_id")
    path = str(root / "pseudo")
    shard = write_shard(path, shard_path("de-en", 0, 1), table.cast(PSEUDO.schema), PSEUDO)
    manifest = Manifest(
        kind="pseudo",
        schema_version=1,
        columns={c.name: str(c.type) for c in PSEUDO.columns},
        shards=(shard,),
        counts=Counts(read=len(table), kept=len(table)),
        keys={"de-en": {"rows": len(table), "languages": ["de", "en"]}},
    )
    write_manifest(path, manifest)


def curve(root: Path, objective: str, out: Path) -> list[float]:
    """Returns the loss of each of 30 steps."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    config = parse_config(
        PretrainConfig,
        {
            "tokenizer": "tokenizer",
            "model": {"config": MODEL},
            "data": [{"objective": objective} | ENTRIES[objective]],
            "steps": 30,
            "batch_tokens": 1024,
            "max_length": 96,
            "warmup_steps": 5,
            "lr": 2e-3,
            "device": "cpu",
            "precision": "fp32",
        },
        base=root,
    )
    try:
        pretrain(config, str(out))
    finally:
        torch.set_num_threads(threads)
    lines = (out / METRICS).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def main() -> None:
    """Writes curves.json."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_data(root)
        curves = {o: [round(x, 5) for x in curve(root, o, root / f"run-{o}")] for o in ENTRIES}
    lines = [f' "{name}": {json.dumps(losses)}' for name, losses in curves.items()]
    CURVES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
