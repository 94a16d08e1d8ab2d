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

import io
import json
import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import U64
from bitextile.kernels.randomness import bits, hash64
from bitextile.pipelines.runner.atomic import check_free, staged
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import ALIGNED, MONO, PAIRS
from bitextile.schema.storage import is_local

MODEL, MANIFEST = "spiece.model", "tokenizer_manifest.json"
SPECIALS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
MASK = "<mask>"
_ROLES = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": MASK,
}
# Sums of the EM steps are added per thread, so another number gives other last digits.
_THREADS = 2
_MAX_POSITIONS = 512


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How large the vocabulary is and what it is learned from."""

    vocab_size: int = 32_000
    """Ids, specials included. XLM-R gives 250,002 to 100 languages; 32,000 serve about ten."""
    alpha: float = 0.3
    """Temperature: a language with share q of the sentences gets q^alpha of the sample, scaled to
    1; 1 keeps the shares, 0 levels them. 0.3 as in XLM-R (Conneau et al. 2020, section 3.1)."""
    max_sentences: int = 1_000_000
    """Sentences of the sample at most. SentencePiece keeps them and a suffix array in memory,
    some 2 GB for a million; more has little effect on a unigram vocabulary (our estimate)."""
    character_coverage: float = 0.9995
    """Share of the characters that get a piece of their own, 0.98 to 1; the rest, in Chinese the
    rarest signs, is spelled in bytes. SentencePiece's advice for rich character sets."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        if self.vocab_size < 1 or self.max_sentences < 1:
            raise ConfigError(
                f"vocab_size is {self.vocab_size} and max_sentences {self.max_sentences}, "
                "expected 1 or more"
            )
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha is {self.alpha}, expected 0 (level) to 1 (as they are)")
        if not 0.98 <= self.character_coverage <= 1:
            raise ConfigError(
                f"character_coverage is {self.character_coverage}, expected 0.98 to 1"
            )


@dataclass(frozen=True)
class TokenizerSummary:
    """A tokenizer that was trained.

    Attributes:
        path: its folder.
        vocab_size: ids.
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
        ConfigError: `vocab_size` does not fit the text; the message says what does.
        DatasetError: a dataset is damaged or of another kind.
        InputError: there is no text to train on.
    """
    if not is_local(out):
        raise ConfigError(f"{out}: a tokenizer is written to a local folder; give one and copy it")
    check_free(out, overwrite=overwrite, marker=MANIFEST)
    opened = [open_dataset(path, [PAIRS, MONO, ALIGNED]) for path in datasets]
    pools = _read(opened, cap=config.max_sentences)
    if not pools:
        raise InputError(f"{', '.join(datasets)}: no sentence in the train split; ingest more text")
    sentences = {lang: pool.n_unique for lang, pool in sorted(pools.items())}
    sampled = sample_sizes(sentences, alpha=config.alpha, budget=config.max_sentences)
    texts = [text for lang, n in sampled.items() for text in pools[lang].first(n)]
    model = _train(texts, config)
    digest = sha256(model).hexdigest()
    summary = TokenizerSummary(out, config.vocab_size, sentences, sampled, digest)
    with staged([out], overwrite=overwrite, marker=MANIFEST) as places:
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
        found = json.loads((Path(out) / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{out}: no readable {MANIFEST} in it; give another --out") from error
    digests = sorted(entry["digest"] for entry in found["inputs"])
    wanted = sorted(open_dataset(path).manifest.digest for path in datasets)
    return found["config"] == asdict(config) and digests == wanted


def sample_sizes(sentences: dict[str, int], *, alpha: float, budget: int) -> dict[str, int]:
    """Returns how many sentences of each language to train on.

    Args:
        sentences: language to how many there are.
        alpha: temperature, as in `TokenizerConfig`.
        budget: sentences in all at most; fewer are taken if there are fewer.

    >>> sample_sizes({"de": 900, "th": 100}, alpha=1.0, budget=100)
    {'de': 90, 'th': 10}
    >>> sample_sizes({"de": 900, "th": 100}, alpha=0.3, budget=100)
    {'de': 66, 'th': 34}
    """
    total = sum(sentences.values())
    weight = {lang: (n / total) ** alpha for lang, n in sentences.items()}
    scale = min(budget, total) / sum(weight.values())
    return {lang: max(1, round(scale * w)) for lang, w in weight.items()}


class _Pool:
    """The unique sentences of one language: how many, and those that come first by hash."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.seen: list[U64] = []
        self.pending: list[tuple[U64, pa.StringArray]] = []

    def add(self, places: U64, texts: pa.StringArray) -> None:
        """Takes sentences in, each with its place in the order of hashes."""
        self.seen.append(places)
        self.pending.append((places, texts))
        if sum(len(kept) for kept, _ in self.pending) > 2 * self.cap:
            self._trim()

    @property
    def n_unique(self) -> int:
        """Unique sentences, those beyond the cap included."""
        self.seen = [np.unique(np.concatenate(self.seen))]
        return len(self.seen[0])

    def first(self, n: int) -> Iterator[str]:
        """Yields n sentences in the order of hashes, from the start again if there are fewer."""
        self._trim()
        texts = self.pending[0][1].to_pylist()
        for i in range(n):
            yield texts[i % len(texts)]

    def _trim(self) -> None:
        places = np.concatenate([places for places, _ in self.pending])
        texts = pa.concat_arrays([texts for _, texts in self.pending])
        places, rows = np.unique(places, return_index=True)
        self.pending = [(places[: self.cap], texts.take(pa.array(rows[: self.cap])))]


def _read(datasets: list[Dataset], *, cap: int) -> dict[str, _Pool]:
    pools: dict[str, _Pool] = defaultdict(lambda: _Pool(cap))
    for dataset in datasets:
        sides = dataset.kind.sides
        columns = [name for side in sides for name in side]
        for batch in dataset.batches(columns=[*columns, "split"]):
            train = batch.filter(pc.equal(batch.column("split"), "train"))
            for lang_column, text_column in sides:
                for lang in pc.unique(train.column(lang_column)).to_pylist():
                    rows = train.filter(pc.equal(train.column(lang_column), lang))
                    _add(pools[lang], lang, rows.column(text_column))
    return pools


def _add(pool: _Pool, lang: str, texts: pa.StringArray) -> None:
    # Drawn anew from the id, whose own bits decide on splits and shards.
    pool.add(bits(hash64(text_ids(lang, texts)), seed=0, operation="tokenizer"), texts)


def _train(texts: list[str], config: TokenizerConfig) -> bytes:
    """Returns a SentencePiece model with `<mask>` as its last piece."""
    import sentencepiece

    writer = io.BytesIO()
    options: dict[str, Any] = {
        "model_type": "unigram",
        "vocab_size": config.vocab_size - 1,
        "character_coverage": config.character_coverage,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "shuffle_input_sentence": False,
        "max_sentence_length": max(len(text.encode()) for text in texts),
        "num_threads": _THREADS,
        "minloglevel": 2,
    }
    for role in ("bos", "pad", "eos", "unk"):
        piece = _ROLES[f"{role}_token"]
        options |= {f"{role}_id": SPECIALS[piece], f"{role}_piece": piece}
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=writer, **options
        )
    except RuntimeError as error:
        raise _vocab_error(str(error), config.vocab_size) from error
    return writer.getvalue() + _control_piece(MASK)


def _vocab_error(message: str, vocab_size: int) -> Exception:
    """Returns SentencePiece's complaint about the vocabulary size, in terms of all ids."""
    if high := re.search(r"value <= (\d+)", message):
        return ConfigError(
            f"vocab_size is {vocab_size}, but this text gives at most {int(high[1]) + 1} pieces; "
            f"set it to {int(high[1]) + 1} or less, or train on more text"
        )
    if low := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return ConfigError(
            f"vocab_size is {vocab_size}, but the characters of this text alone need "
            f"{int(low[1]) + 1}; set it higher than that, or lower character_coverage"
        )
    return InputError(f"SentencePiece cannot train on this text: {message}")


def _control_piece(piece: str) -> bytes:
    """Returns one more control piece in the form to be appended to a model.

    A model is a protobuf message in which pieces are the repeated field 1, and a repeated field
    may go on anywhere in a message (protobuf encoding, "Last One Wins" and repeated elements):
    fields of a piece are 1 text, 2 score (float32), 3 type (3 = control).
    """
    text = piece.encode()
    body = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", 0.0) + b"\x18\x03"
    return b"\x0a" + bytes([len(body)]) + body


def _write(
    folder: Path,
    model: bytes,
    summary: TokenizerSummary,
    config: TokenizerConfig,
    datasets: list[Dataset],
) -> None:
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    vocab = [[pieces.id_to_piece(i), pieces.get_score(i)] for i in range(pieces.get_piece_size())]
    (folder / MODEL).write_bytes(model)
    _write_json(folder / "tokenizer.json", _tokenizer_json(vocab))
    _write_json(folder / "special_tokens_map.json", _ROLES)
    _write_json(
        folder / "tokenizer_config.json",
        {
            **_ROLES,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": _MAX_POSITIONS,
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


def _tokenizer_json(vocab: list[list[Any]]) -> dict[str, Any]:
    """Returns what the `tokenizers` library reads: the same model, the same steps.

    SentencePiece puts a mark before the text and in place of each space, then finds the best path
    over the whole text; no piece has a mark but at its start, so cutting at marks changes no path.
    Where the mark before the text is a token of its own, its offsets are those of the first
    character, as in XLM-R. Text that spells a byte piece, "<0x41>", or a special one is read as
    that piece here; SentencePiece spells it out.
    """
    ids = {piece: i for i, (piece, _) in enumerate(vocab)}
    specials = [
        {
            "id": ids[piece],
            "content": piece,
            "single_word": False,
            "lstrip": piece == MASK,  # as in XLM-R: the mask stands for a word with its space
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for piece in (*SPECIALS, MASK)
    ]
    mark, space = {"String": "▁"}, {"String": " "}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": specials,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": space, "content": "▁"},
            ],
        },
        "pre_tokenizer": {
            "type": "Split",
            "pattern": mark,
            "behavior": "MergedWithNext",
            "invert": False,
        },
        "post_processor": _template(),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": mark, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": True},
    }


def _template() -> dict[str, Any]:
    """Returns XLM-R's frame of sentence and pair: <s> A </s>, <s> A </s> </s> B </s>."""
    first, last = ({"SpecialToken": {"id": t, "type_id": 0}} for t in ("<s>", "</s>"))
    a, b = ({"Sequence": {"id": name, "type_id": 0}} for name in ("A", "B"))
    return {
        "type": "TemplateProcessing",
        "single": [first, a, last],
        "pair": [first, a, last, last, b, last],
        "special_tokens": {
            token: {"id": token, "ids": [SPECIALS[token]], "tokens": [token]}
            for token in ("<s>", "</s>")
        },
    }
