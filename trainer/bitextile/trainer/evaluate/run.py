"""`evaluate`: one task on one model (or dataset), the result as JSON values."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.readers.source import CorpusSource
from bitextile.kernels.text.normalise import normalise_text
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, InputError, OutputExistsError
from bitextile.schema.kinds import ALIGNED, PAIRS, SPLIT_CHOICES
from bitextile.schema.manifest import FILE_NAME
from bitextile.schema.storage import exists, write_atomically
from bitextile.trainer.evaluate.alignment import argmax_intersection, dataset_links, score
from bitextile.trainer.evaluate.gold import read_gold
from bitextile.trainer.evaluate.retrieval import retrieval

LIMIT = 10_000
"""Rows per key: an interval of about +-1 % at worst, in minutes on a CPU."""

PAIR = ("src_lang", "tgt_lang", "src", "tgt")


def evaluate(
    model: str,
    *,
    task: str,
    data: list[str],
    out: str | None = None,
    layer: int | None = None,
    split: str = "test",
    key: str | None = None,
    limit: int = LIMIT,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Evaluates a model, or for `alignment` also the links of a dataset.

    Args:
        model: a model folder; for task alignment, an aligned dataset's folder will do.
        task: retrieval, alignment, mlm, tlm, embedding or classification.
        data: retrieval: one pairs or aligned dataset, or two text files, line by line;
            alignment: gold files (JSON lines); mlm: mono, pairs or aligned datasets; tlm: pairs
            or aligned; embedding: lexicons; classification: task files (TSV).
        out: JSON file to write; None writes none.
        layer: whose vectors; None two thirds up (see vectors.py).
        split: of datasets: train, valid, test or all.
        key: of a dataset; None takes each.
        limit: rows per key at most.
        overwrite: replace `out`.

    Returns:
        task, model, and `results` by key, gold file or language; every figure as value, low, high.

    Raises:
        ConfigError: an unknown task, split or layer, or data that do not fit the task.
        OutputExistsError: `out` exists.
        InputError: data cannot be read or hold nothing to score.
    """
    tasks: dict[str, Callable[[], dict[str, Any]]] = {
        "retrieval": lambda: _retrieval(model, data, layer, split, key, limit),
        "alignment": lambda: _alignment(model, data, layer),
        "mlm": lambda: _mlm(model, data, split, limit, given=False),
        "tlm": lambda: _mlm(model, data, split, limit, given=True),
        "embedding": lambda: _embedding(model, data),
        "classification": lambda: _classification(model, data),
    }
    if task not in tasks:
        raise ConfigError(f"task is {task!r}, expected one of {', '.join(tasks)}")
    if split not in SPLIT_CHOICES:
        raise ConfigError(f"split is {split!r}, expected one of {', '.join(SPLIT_CHOICES)}")
    if not data:
        raise ConfigError(f"task {task} needs data; give --data")
    if out is not None and exists(out) and not overwrite:
        raise OutputExistsError(f"{out}: is there already; give --overwrite or another --out")
    report = {"task": task, "model": model, "data": data} | tasks[task]()
    if out is not None:
        text = json.dumps(report, ensure_ascii=False, indent=1) + "\n"
        write_atomically(out, text.encode())
    return report


def _named(paths: list[str]) -> dict[str, str]:
    """Returns each path by its last part, or by itself where two end alike."""
    last = [Path(path).name for path in paths]
    return {name if last.count(name) == 1 else path: path for name, path in zip(last, paths)}


def _split(split: str) -> str | None:
    return None if split == "all" else split


def _retrieval(
    model: str, data: list[str], layer: int | None, split: str, key: str | None, limit: int
) -> dict[str, Any]:
    from bitextile.trainer.evaluate.vectors import load_embedder, sentence_vectors

    bitexts = _bitexts(data, split, key, limit)
    embedder = load_embedder(model, layer=layer)
    results = {}
    for name, (src, tgt) in bitexts.items():
        a, b = sentence_vectors(embedder, src), sentence_vectors(embedder, tgt)
        results[name] = retrieval(a, b, src_texts=src, tgt_texts=tgt).to_json()
    return {"layer": embedder.layer, "split": split, "results": results}


Bitext = tuple[list[str], list[str]]


def _bitexts(data: list[str], split: str, key: str | None, limit: int) -> dict[str, Bitext]:
    if len(data) == 2 and not any(exists(f"{d}/{FILE_NAME}") for d in data):
        return {"files": _line_aligned(data, limit)}
    if len(data) != 1:
        raise ConfigError(f"retrieval takes one dataset or two text files, got {len(data)} paths")
    from bitextile.trainer.data.streams import split_rows

    dataset = open_dataset(data[0], (PAIRS, ALIGNED))
    if key is not None and key not in dataset.keys:
        raise ConfigError(f"{data[0]} has no key {key}; it has {', '.join(dataset.keys)}")
    bitexts = {}
    for name in [key] if key else dataset.keys:
        rows = split_rows(dataset, name, PAIR, split=_split(split), limit=limit)
        if rows is not None and rows.num_rows > 1:  # one pair alone is no task
            bitexts[name] = _in_key_order(rows.to_pylist())
    if not bitexts:
        raise InputError(f"{data[0]}: no two rows of split {split!r}; give --split, or all")
    return bitexts


def _in_key_order(rows: list[dict[str, str]]) -> Bitext:
    """Returns both sides, the language that comes first in the key first."""
    ordered = [
        (row["src"], row["tgt"])[:: 1 if row["src_lang"] <= row["tgt_lang"] else -1] for row in rows
    ]
    return [a for a, _ in ordered], [b for _, b in ordered]


def _line_aligned(paths: list[str], limit: int) -> Bitext:
    """Reads two text files, plain or compressed, line n of one translating line n of the other."""
    source = CorpusSource(
        corpus="evaluation",
        languages=("src", "tgt"),
        files=tuple(paths),
        names=tuple(paths),
        format="lines",
    )
    src: list[str] = []
    tgt: list[str] = []
    for kept, rejects in read_corpus(source):
        if rejects.num_rows:
            bad = rejects.slice(0, 1).to_pylist()[0]
            raise InputError(f"{paths[0]} or {paths[1]}, line {bad['line']}: {bad['detail']}")
        src += normalise_text(kept.column("src")).to_pylist()
        tgt += normalise_text(kept.column("tgt")).to_pylist()
    return src[:limit], tgt[:limit]


def _alignment(model: str, data: list[str], layer: int | None) -> dict[str, Any]:
    golds = {name: read_gold(path) for name, path in _named(data).items()}
    if exists(f"{model}/{FILE_NAME}"):
        results = {}
        for name, gold in golds.items():
            links, found = dataset_links(model, gold)
            results[name] = score(links, found, missing=len(gold) - len(found)).to_json()
        return {"links": "dataset", "results": results}
    from bitextile.trainer.evaluate.vectors import load_embedder, word_vectors

    embedder = load_embedder(model, layer=layer)
    results = {}
    for name, gold in golds.items():
        src = word_vectors(embedder, [g.src for g in gold], [g.src_spans for g in gold])
        tgt = word_vectors(embedder, [g.tgt for g in gold], [g.tgt_spans for g in gold])
        links = [argmax_intersection(a, b) for a, b in zip(src, tgt)]
        results[name] = score(links, gold).to_json()
    return {"links": "vectors", "layer": embedder.layer, "results": results}


def _mlm(model: str, data: list[str], split: str, limit: int, *, given: bool) -> dict[str, Any]:
    from bitextile.trainer.evaluate.mlm import perplexities
    from bitextile.trainer.evaluate.vectors import load_embedder

    embedder = load_embedder(model)
    results = {}
    for name, path in _named(data).items():
        found = perplexities(embedder, path, split=_split(split), limit=limit, given=given)
        results[name] = {lang: r.to_json() for lang, r in found.items()}
    return {"split": split, "results": results}


def _embedding(model: str, data: list[str]) -> dict[str, Any]:
    from bitextile.trainer.evaluate.embedding import embedding_alignment
    from bitextile.trainer.evaluate.vectors import load_embedder

    embedder = load_embedder(model)
    results = {}
    for name, path in _named(data).items():
        found = embedding_alignment(embedder, path)
        results[name] = {key: result.to_json() for key, result in found.items()}
    return {"results": results}


def _classification(model: str, data: list[str]) -> dict[str, Any]:
    from bitextile.trainer.evaluate.classification import accuracy, load_classifier
    from bitextile.trainer.finetune.data import read_file

    tasks = {name: read_file(path) for name, path in _named(data).items()}
    classifier = load_classifier(model)
    results = {name: accuracy(classifier, task).to_json() for name, task in tasks.items()}
    return {"labels": list(classifier.labels), "results": results}
