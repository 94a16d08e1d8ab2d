"""`bitextile tokenizer`: SentencePiece over the text of datasets, loadable by transformers.

Not a Beam pipeline: SentencePiece trains in one process, on a sample that fits in memory.

    pairs, mono, aligned -> train split -> unique sentences by language
        -> sample, balanced by temperature, in the order of hashes -> SentencePiece unigram
        -> spiece.model + tokenizer.json with the same ids

Ids are XLM-R's: <s> 0, <pad> 1, </s> 2, <unk> 3, then 256 bytes and the pieces, <mask> last.
What is in no piece falls back to its UTF-8 bytes, so no sentence holds an <unk>, whatever its
script, and every text can be decoded; 256 of the pieces pay for that. Text is not normalised (it
is NFC already), so that offsets are offsets in the text as it stands in the dataset.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from bitextile.kernels.progress import count, note
from bitextile.kernels.tokenizer.fast import fast_tokenizer
from bitextile.kernels.tokenizer.sample import SentenceSample, sample_sizes
from bitextile.kernels.tokenizer.unigram import (
    SPECIAL_ROLES,
    TokenizerConfig,
    count_ids,
    train_unigram,
)
from bitextile.pipelines.runner.atomic import check_free, staged
from bitextile.pipelines.runner.progress import shown
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.inputs import refuse_inputs_in
from bitextile.schema.json_file import read_json
from bitextile.schema.kinds import ALIGNED, MONO, PAIRS
from bitextile.schema.storage import is_local
from bitextile.schema.terminal import say

MODEL, MANIFEST = "spiece.model", "tokenizer_manifest.json"


_MAX_POSITIONS = 512


@dataclass(frozen=True)
class TokenizerSummary:
    """A tokenizer that was trained.

    Attributes:
        path: its folder.
        vocab_size: ids, fewer than were asked for where the text gives no more.
        sentences: language to unique sentences in the train split.
        sampled: language to sentences trained on, repeats included.
        sha256: of spiece.model, in hex.
    """

    path: str
    vocab_size: int
    sentences: dict[str, int]
    sampled: dict[str, int]
    sha256: str


def train_tokenizer(
    datasets: list[str], out: str, *, config: TokenizerConfig, overwrite: bool = False
) -> TokenizerSummary:
    """Trains a SentencePiece tokenizer and writes it as a folder that transformers loads.

    The same datasets and config give the same model, in whatever order the datasets are named:
    sentences are unique by (language, text) and sampled in the order of their hashes.

    Args:
        datasets: folders of kind pairs, mono or aligned; their train split is read.
        out: local folder to write.
        config: vocabulary and sample.
        overwrite: replace a tokenizer that is there.

    Returns:
        What was trained on and where it lies.

    Raises:
        OutputExistsError: `out` is there and `overwrite` is false, or it is no tokenizer's folder.
        ConfigError: `vocab_size` is too small for the characters; the message says what fits.
        DatasetError: a dataset is damaged or of another kind.
        InputError: there is no text to train on.
    """
    if not is_local(out):
        raise ConfigError(f"{out}: a tokenizer is written to a local folder; give one and copy it")
    check_free(out, overwrite=overwrite, marker=MANIFEST)
    refuse_inputs_in(out, datasets)
    opened = [open_dataset(path, [PAIRS, MONO, ALIGNED]) for path in datasets]
    # Held-out sentences are left out: pieces fitted to them would flatter every later measurement.
    with shown("tokenizer"):
        samples = _read(opened, cap=config.max_sentences)
    if not samples:
        raise InputError(f"{', '.join(datasets)}: no sentence in the train split; ingest more text")
    sentences = {lang: sample.n_unique for lang, sample in sorted(samples.items())}
    sampled = sample_sizes(sentences, alpha=config.alpha, budget=config.max_sentences)
    # Languages by tag, sentences by hash. SentencePiece's result depends on the order of its input.
    texts = [text for lang, n in sampled.items() for text in samples[lang].first(n)]
    with shown("tokenizer"):
        # SentencePiece says nothing of how far it is.
        note("TrainTokenizer", f"on {len(texts):,} sentences")
        model = train_unigram(texts, config)
    digest = sha256(model).hexdigest()
    summary = TokenizerSummary(out, count_ids(model), sentences, sampled, digest)
    if summary.vocab_size < config.vocab_size:
        say(
            f"{out}: this text gives {summary.vocab_size:,} ids, not {config.vocab_size:,}; "
            "more text, or vocab_size, changes that"
        )
    with staged([out], overwrite=overwrite, inputs=datasets, marker=MANIFEST) as places:
        _write(Path(places[out]), model, summary, config, opened)
    return summary


def same_tokenizer(datasets: list[str], out: str, *, config: TokenizerConfig) -> bool:
    """Returns whether the tokenizer in `out` was made from these datasets with this config.

    Args:
        datasets: folders, in any order.
        out: folder of a finished tokenizer.
        config: vocabulary and sample.

    Raises:
        ConfigError: `out` holds no tokenizer of bitextile's.
    """
    try:
        found = read_json(Path(out) / MANIFEST)
        # Sorted: the order of datasets does not matter, as the model does not depend on it.
        digests = sorted(str(entry["digest"]) for entry in found["inputs"])
        made_with = found["config"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{out}: no readable {MANIFEST} in it; give another --out") from error
    wanted = sorted(open_dataset(path).manifest.digest for path in datasets)
    return bool(made_with == asdict(config)) and digests == wanted


def _read(datasets: list[Dataset], *, cap: int) -> dict[str, SentenceSample]:
    samples: dict[str, SentenceSample] = {}
    total = sum(dataset.manifest.rows for dataset in datasets)
    for dataset in datasets:
        sides = dataset.kind.sides
        # Only these columns: spans and links are about half of an aligned pair's bytes.
        columns = [name for side in sides for name in side]
        for batch in dataset.batches(columns=[*columns, "split"]):
            count("ReadSentences", batch.num_rows, total=total)
            train = batch.filter(pc.equal(batch.column("split"), "train"))
            for lang_column, text_column in sides:
                for lang in pc.unique(train.column(lang_column)).to_pylist():
                    rows = train.filter(pc.equal(train.column(lang_column), lang))
                    sample = samples.setdefault(lang, SentenceSample(lang, cap))
                    sample.add(rows.column(text_column))
    return samples


def _write(
    folder: Path,
    model: bytes,
    summary: TokenizerSummary,
    config: TokenizerConfig,
    datasets: list[Dataset],
) -> None:
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    # Both files come from one model, so their ids are the same by construction.
    vocab = [[pieces.id_to_piece(i), pieces.get_score(i)] for i in range(pieces.get_piece_size())]
    (folder / MODEL).write_bytes(model)
    _write_json(folder / "tokenizer.json", fast_tokenizer(vocab))
    _write_json(folder / "special_tokens_map.json", SPECIAL_ROLES)
    _write_json(
        folder / "tokenizer_config.json",
        {
            **SPECIAL_ROLES,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": _MAX_POSITIONS,
            # transformers would delete spaces before punctuation when it decodes, and text would
            # not come back as it was.
            "clean_up_tokenization_spaces": False,
        },
    )
    _write_json(
        folder / MANIFEST,
        {
            "format": "bitextile-tokenizer/1",
            "sha256": summary.sha256,
            "vocab_size": summary.vocab_size,
            "sentences": summary.sentences,
            "sampled": summary.sampled,
            "config": asdict(config),
            "inputs": [{"path": d.path, "digest": d.manifest.digest} for d in datasets],
            "software": {"sentencepiece": sentencepiece.__version__},
        },
    )


def _write_json(path: Path, body: Any) -> None:
    path.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
