"""Word links by a transformers encoder, batched by length: the one module here that runs torch.

torch and transformers are imported when an encoder is loaded, so that importing this module, as a
launcher without a model does, costs and needs neither.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.align.encoder import (
    Matcher,
    Units,
    WordLinks,
    alignment_of,
    context_windows,
    match_words,
)
from bitextile.kernels.align.hmm.apply import Alignment
from bitextile.kernels.arrays import F32, I64, offsets_of
from bitextile.kernels.model_digest import check_encoder
from bitextile.schema.errors import ConfigError, InputError

PAIRS_AT_ONCE = 4_096
"""Pairs sorted by length together, so that a batch has hardly any padding."""
CHUNK_SUBWORDS = 1 << 16
"""Subwords whose vectors are held at once: 200 MB at width 768."""
BATCH_TOKENS = {"cpu": 512, "cuda": 65_536}
"""Tokens of a forward pass. On a CPU 256 to 512 are fastest, since what lies between two layers
then stays in the cache (BERT-base, one core: 22 pairs/s, with 4,096 tokens 15); a GPU wants more.
"""


@dataclass(frozen=True)
class _Text:
    """Sentences as subwords: ids and words of all, one after the other."""

    ids: I64
    at: I64
    word: I64


class _Piece(NamedTuple):
    """A window to encode: where its ids begin and end, which of them it is the source of."""

    start: int
    stop: int
    own_start: int
    own_stop: int


class EncoderAligner:
    """An encoder that links words; loaded once, used for many batches.

    On a CPU each thread runs batches of its own, on one core: small products gain nothing from a
    second core, and the bits do not depend on how many there are. As many threads are used as torch
    is set to when a method is called; until it returns torch is set to one. Not safe to call from
    two threads at once.
    """

    def __init__(self, folder: str, *, layer: int, device: str | None = None) -> None:
        """Loads an encoder.

        Args:
            folder: local, as `save_pretrained` writes it, with weights in safetensors and a fast
                tokenizer.
            layer: whose vectors; 0 is the embeddings. Layers above it are dropped.
            device: `cpu` (float32) or `cuda` (float16); None takes a GPU if there is one.

        Raises:
            ConfigError: no such folder, no encoder in it, or one without that layer.
        """
        check_encoder(folder)
        import torch

        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.model = _load_model(folder, half=self.device != "cpu").to(self.device)
        self._tokenizer = _load_tokenizer(folder)
        self._prefix, self._suffix = _special_ids(self._tokenizer)
        self._pad = int(self._tokenizer.pad_token_id or 0)
        room = min(_positions(self.model), self._tokenizer.model_max_length)
        self.room = room - len(self._prefix) - len(self._suffix)
        self._hidden = _hidden_at(self.model, layer, folder)
        if self.device == "cpu":
            _pack_linear_layers(self.model)

    def align(self, first: pa.ListArray, second: pa.ListArray, *, matcher: Matcher) -> Alignment:
        """Returns the links of sentence pairs.

        Args:
            first: [n] list<string>, words of one side.
            second: [n] list<string>, words of the other side.
            matcher: how units are matched.
        """
        links = [
            WordLinks(rows[found.pair], *found[1:])
            for start in range(0, len(first), PAIRS_AT_ONCE)
            for rows, found in self._linked(
                first.slice(start, PAIRS_AT_ONCE).to_pylist(),
                second.slice(start, PAIRS_AT_ONCE).to_pylist(),
                start,
                matcher,
            )
        ]
        if not links:
            nothing = np.zeros(0, np.int64)
            return alignment_of(WordLinks(nothing, nothing, nothing, np.zeros(0)), len(first))
        columns = [np.concatenate(column) for column in zip(*links)]
        order = np.argsort(columns[0], kind="stable")
        return alignment_of(WordLinks(*(column[order] for column in columns)), len(first))

    def _linked(
        self, first: list[list[str]], second: list[list[str]], start: int, matcher: Matcher
    ) -> Iterator[tuple[I64, WordLinks]]:
        """Yields row numbers and, with indices into these, the links of chunks of alike length."""
        one, two = self._cut(first), self._cut(second)
        lengths = np.diff(one.at) + np.diff(two.at)
        order = np.argsort(lengths, kind="stable")
        ends = np.cumsum(lengths[order])
        chunk = ends // CHUNK_SUBWORDS
        for rows in np.split(order, np.flatnonzero(np.diff(chunk)) + 1):
            both = _joined(_taken(one, rows), _taken(two, rows))
            vectors = self._vectors(both)
            middle = both.at[len(rows)]
            src = Units(vectors[:middle], both.at[: len(rows) + 1], both.word[:middle])
            tgt = Units(vectors[middle:], both.at[len(rows) :] - middle, both.word[middle:])
            yield rows + start, match_words(src, tgt, matcher=matcher)

    def units(self, sentences: Sequence[list[str]]) -> Units:
        """Returns the vectors of the subwords of sentences, each of them exactly once.

        A sentence beyond the encoder's positions is read in overlapping windows; see
        `context_windows`.

        Args:
            sentences: words of each.
        """
        text = self._cut(sentences)
        return Units(self._vectors(text), text.at, text.word)

    def _cut(self, sentences: Sequence[list[str]]) -> _Text:
        encoded = self._tokenizer.backend_tokenizer.encode_batch(
            sentences, is_pretokenized=True, add_special_tokens=False
        )
        ids = [e.ids for e in encoded]
        at = offsets_of(np.array([len(i) for i in ids], np.int64))
        words = (w for e in encoded for w in e.word_ids)
        flat = np.fromiter((i for sentence in ids for i in sentence), np.int64, at[-1])
        return _Text(flat, at, np.fromiter(words, np.int64, at[-1]))

    def _vectors(self, text: _Text) -> F32:
        pieces = [
            _Piece(*(int(text.at[s]) + place for place in piece))
            for s, length in enumerate(np.diff(text.at).tolist())
            if length
            for piece in context_windows(length, self.room)
        ]
        pieces.sort(key=lambda piece: (piece.start - piece.stop, piece.start))
        vectors = np.empty((len(text.ids), self.model.config.hidden_size), np.float32)

        def fill(batch: list[_Piece]) -> None:
            places = np.concatenate([np.arange(p.own_start, p.own_stop) for p in batch])
            vectors[places] = self._encode(text.ids, batch)

        self._for_each(fill, self._batches(pieces))
        if not np.isfinite(vectors).all():
            raise InputError(
                "the encoder's vectors hold infinite numbers or NaN; if it cannot do with half "
                "precision, hide the GPU (CUDA_VISIBLE_DEVICES=) to run it in float32"
            )
        return vectors

    def _batches(self, pieces: list[_Piece]) -> Iterator[list[_Piece]]:
        """Yields pieces, longest first, as many as fill a batch."""
        most = BATCH_TOKENS.get(self.device, BATCH_TOKENS["cpu"])
        begin = 0
        while begin < len(pieces):
            size = max(1, most // self._tokens(pieces[begin]))
            yield pieces[begin : begin + size]
            begin += size

    def _tokens(self, piece: _Piece) -> int:
        return piece.stop - piece.start + len(self._prefix) + len(self._suffix)

    def _for_each(
        self, work: Callable[[list[_Piece]], None], batches: Iterable[list[_Piece]]
    ) -> None:
        import torch

        n_threads = torch.get_num_threads()
        if self.device != "cpu" or n_threads == 1:
            for batch in batches:
                work(batch)
            return
        try:
            with ThreadPoolExecutor(
                n_threads, initializer=torch.set_num_threads, initargs=(1,)
            ) as pool:
                for _ in pool.map(work, batches):
                    pass
        finally:
            torch.set_num_threads(n_threads)

    def _encode(self, ids: I64, batch: list[_Piece]) -> F32:
        """Returns the vectors of what the pieces own, in their order."""
        import torch

        widest = max(self._tokens(piece) for piece in batch)
        inputs = np.full((len(batch), widest), self._pad, np.int64)
        own = np.zeros(inputs.shape, bool)
        attention = np.zeros(inputs.shape, np.int64)
        for row, piece in enumerate(batch):
            whole = [*self._prefix, *ids[piece.start : piece.stop], *self._suffix]
            inputs[row, : len(whole)] = whole
            attention[row, : len(whole)] = 1
            shift = len(self._prefix) - piece.start
            own[row, piece.own_start + shift : piece.own_stop + shift] = True
        move = self.device
        with torch.inference_mode():
            hidden = self._hidden(
                input_ids=torch.from_numpy(inputs).to(move),
                attention_mask=torch.from_numpy(attention).to(move),
            )
            return hidden[torch.from_numpy(own).to(move)].float().cpu().numpy()


def _taken(text: _Text, rows: I64) -> _Text:
    lengths = np.diff(text.at)[rows]
    at = offsets_of(lengths)
    places = np.arange(at[-1]) + np.repeat(text.at[rows] - at[:-1], lengths)
    return _Text(text.ids[places], at, text.word[places])


def _joined(one: _Text, two: _Text) -> _Text:
    at = np.concatenate([one.at, two.at[1:] + one.at[-1]])
    return _Text(np.append(one.ids, two.ids), at, np.append(one.word, two.word))


def _load_model(folder: str, *, half: bool) -> Any:
    import torch
    from transformers import AutoModel

    model, report = AutoModel.from_pretrained(
        folder,
        dtype=torch.float16 if half else torch.float32,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    # A pooler that was never trained is made up at random, and not used here.
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        raise ConfigError(
            f"encoder {folder}: its weights lack {missing[0]}; is it the whole model?"
        )
    if model.config.is_encoder_decoder:
        raise ConfigError(f"encoder {folder}: is an encoder-decoder; expected an encoder")
    return model.eval()


def _load_tokenizer(folder: str) -> Any:
    from transformers import AutoTokenizer

    options = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    if getattr(tokenizer, "add_prefix_space", None) is False:
        # Byte-level BPE tells a word's beginning by the space before it; words come without one.
        tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True, **options)
    if not tokenizer.is_fast:
        raise ConfigError(
            f"encoder {folder}: its tokenizer {type(tokenizer).__name__} has no tokenizer.json; "
            "expected a fast tokenizer, which tells the subwords of each word"
        )
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def _special_ids(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Returns the ids that stand before and after a sentence."""
    encoded = tokenizer.backend_tokenizer.encode(["a"], is_pretokenized=True)
    real = [place for place, word in enumerate(encoded.word_ids) if word is not None] or [1]
    return encoded.ids[: real[0]], encoded.ids[real[-1] + 1 :]


def _positions(model: Any) -> int:
    """Returns how many tokens an input may have.

    RoBERTa and its kin count positions from the padding's id on, so they have fewer than rows.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings"):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - unused
    return int(getattr(model.config, "max_position_embeddings", None) or 512)


def _hidden_at(model: Any, layer: int, folder: str) -> Callable[..., Any]:
    """Returns the function from inputs to the hidden states of a layer; drops the layers above."""
    n_layers = int(model.config.num_hidden_layers)
    if not 0 <= layer <= n_layers:
        raise ConfigError(f"layer is {layer}, but encoder {folder} has layers 0 to {n_layers}")
    if layer == n_layers:
        return lambda **inputs: model(**inputs).last_hidden_state
    layers = _layer_list(model, n_layers)
    if layers is None:
        return lambda **inputs: model(**inputs, output_hidden_states=True).hidden_states[layer]
    # A hook, since what follows the last layer (a final norm, a pooler) is no part of this one.
    del layers[max(layer, 1) :]
    seen = threading.local()

    def keep(value: Any) -> None:
        seen.value = value

    if layer == 0:
        layers[0].register_forward_pre_hook(
            lambda _, args, named: keep(args[0] if args else named["hidden_states"]),
            with_kwargs=True,
        )
    else:
        layers[-1].register_forward_hook(
            lambda _, args, out: keep(out[0] if isinstance(out, tuple) else out)
        )

    def hidden(**inputs: Any) -> Any:
        model(**inputs)
        return seen.value

    return hidden


def _layer_list(model: Any, n_layers: int) -> Any:
    """Returns the list of the encoder's layers, None if it is not told from others."""
    from torch.nn import ModuleList

    found = [m for m in model.modules() if isinstance(m, ModuleList) and len(m) == n_layers]
    return found[0] if len(found) == 1 else None


def _pack_linear_layers(model: Any) -> None:
    """Lets oneDNN multiply by weights packed once, where torch was built with it.

    MKL, which `Linear` calls, leaves half of an AMD core idle: 112 GFLOP/s against 260 (EPYC with
    AVX-512, 256 tokens of BERT-base, one thread); on Intel both are alike.
    """
    import torch

    ops = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(ops, "_linear_pointwise")):
        return
    with torch.inference_mode():
        for module in model.modules():
            if type(module) is torch.nn.Linear:
                _pack(module)


def _pack(linear: Any) -> None:
    import torch

    packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight, BATCH_TOKENS["cpu"])
    linear.forward = partial(_packed_linear, packed, linear.bias)
    linear.weight = torch.nn.Parameter(torch.empty(0), requires_grad=False)  # held once


def _packed_linear(packed: Any, bias: Any, vectors: Any) -> Any:
    import torch

    return torch.ops.mkldnn._linear_pointwise(vectors, packed, bias, "none", [], "")
