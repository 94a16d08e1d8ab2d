"""A transformers encoder that gives subwords their vectors: the one module here that runs torch.

torch and transformers are imported when an encoder is loaded, so that importing this module, as a
launcher without a model does, costs and needs neither.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from bitextile.kernels.align.encoder.config import default_layer
from bitextile.kernels.align.encoder.tokens import ContextWindow, Subwords, context_windows
from bitextile.kernels.arrays import F32, I64
from bitextile.kernels.model_digest import encoder_digest
from bitextile.kernels.model_folder import check_whole, load_pretrained, load_weights
from bitextile.kernels.tokenizer.text_encoder import TextEncoder
from bitextile.schema.errors import ConfigError, InputError

BATCH_TOKENS = {"cpu": 512, "cuda": 65_536}
"""Tokens of a forward pass. On a CPU 256 to 512 are fastest, since what lies between two layers
then stays in the cache (BERT-base, one core: 22 pairs/s, with 4,096 tokens 15); a GPU wants more.
"""


class TorchEncoder:
    """An encoder (`kernels.align.engine.WordEncoder`), loaded once, used for many batches.

    On a CPU each thread runs batches of its own, on one core: small products gain nothing from a
    second core, and the bits do not depend on how many there are. As many threads are used as torch
    is set to when `encode` is called; until it returns torch is set to one. Not safe to call from
    two threads at once.
    """

    def __init__(
        self, folder: str, *, layer: int | None, prefix: str = "", device: str | None = None
    ) -> None:
        """Loads an encoder.

        Args:
            folder: local, as `save_pretrained` writes it, with weights in safetensors and a fast
                tokenizer.
            layer: whose vectors; 0 is the embeddings, None two thirds up. Layers above it are
                dropped.
            prefix: text put before each sentence; of a long one, before each window.
            device: `cpu` (float32) or `cuda` (float16); None takes a GPU if there is one.

        Raises:
            ConfigError: no such folder, no encoder in it, one without that layer, or a prefix that
                leaves no room for text.
        """
        # Before torch is imported, so that a folder without an encoder is refused without that
        # wait.
        self.digest = encoder_digest(folder)
        import torch

        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.model = _load_model(folder, half=self.device != "cpu").to(self.device)
        self._tokenizer = _load_tokenizer(folder)
        self._text_encoder = TextEncoder(
            self._tokenizer.backend_tokenizer,
            special_ids=self._tokenizer.all_special_ids,
            unknown_id=self._tokenizer.unk_token_id,
        )
        self._prefix, self._suffix = _special_ids(self._tokenizer)
        self._prefix += self.tokenize([prefix.split()]).ids.tolist()
        self._pad = int(self._tokenizer.pad_token_id or 0)
        # A tokenizer that names no maximum gives 1e30 here, one of transformers' constants; the
        # model then decides.
        max_tokens = min(_max_positions(self.model), self._tokenizer.model_max_length)
        self.max_subwords = max_tokens - len(self._prefix) - len(self._suffix)
        if self.max_subwords < max_tokens // 2:
            raise ConfigError(
                f"prefix {prefix!r} leaves {self.max_subwords} of {max_tokens} subwords for a "
                "sentence; expected half or more: shorten it"
            )
        # Layers are dropped before weights are packed, so that none is packed for nothing.
        self._hidden = _hidden_at(self.model, layer, folder)
        if self.device == "cpu":
            _pack_linear_layers(self.model)

    def tokenize(self, sentences: Sequence[list[str]]) -> Subwords:
        """Returns the subwords of sentences, without the encoder's special tokens.

        Args:
            sentences: words of each.
        """
        # The Rust tokenizer itself: `__call__` of transformers would pad, truncate and build
        # tensors that are taken apart again here.
        encoded = self._text_encoder.encode_batch(sentences, is_pretokenized=True)
        ids = [e.ids for e in encoded]
        at = np.zeros(len(ids) + 1, np.int64)
        np.cumsum([len(i) for i in ids], out=at[1:])
        words = (w for e in encoded for w in e.words)
        flat = np.fromiter((i for sentence in ids for i in sentence), np.int64, at[-1])
        return Subwords(flat, at, np.fromiter(words, np.int64, at[-1]))

    def encode(self, subwords: Subwords) -> F32:
        """Returns the vector of each subword, float32 [subwords, H].

        A sentence beyond the encoder's positions is read in overlapping windows; see
        `context_windows`.

        Raises:
            InputError: a vector is not finite.
        """
        windows = [
            window.shift(int(start))
            for start, length in zip(subwords.at, np.diff(subwords.at).tolist())
            if length
            for window in context_windows(length, self.max_subwords)
        ]
        # By length, the longest first, so that a batch holds windows of like length and pads
        # little, and running out of memory shows at once. Ties go by place: the batches, and with
        # them the last bits of the vectors, are the same in each run.
        windows.sort(key=lambda window: (window.start - window.stop, window.start))
        vectors = np.empty((len(subwords.ids), self.model.config.hidden_size), np.float32)

        def encode_batch(batch: list[ContextWindow]) -> None:
            index = np.concatenate([np.arange(w.own_start, w.own_stop) for w in batch])
            # Windows own disjoint ranges, so threads write to disjoint rows and no lock is needed.
            vectors[index] = self._forward(subwords.ids, batch)

        self._for_each(encode_batch, self._batches(windows))
        if not np.isfinite(vectors).all():
            raise InputError(
                "the encoder's vectors hold infinite numbers or NaN; if it cannot do with half "
                "precision, hide the GPU (CUDA_VISIBLE_DEVICES=) to run it in float32"
            )
        return vectors

    def _batches(self, windows: list[ContextWindow]) -> Iterator[list[ContextWindow]]:
        """Yields windows, longest first, as many as fill a batch."""
        batch_tokens = BATCH_TOKENS.get(self.device, BATCH_TOKENS["cpu"])
        start = 0
        while start < len(windows):
            # The first window of a batch is its longest, so none is padded beyond `batch_tokens`.
            size = max(1, batch_tokens // self._n_tokens(windows[start]))
            yield windows[start : start + size]
            start += size

    def _n_tokens(self, window: ContextWindow) -> int:
        return window.stop - window.start + len(self._prefix) + len(self._suffix)

    def _for_each(
        self,
        function: Callable[[list[ContextWindow]], None],
        batches: Iterable[list[ContextWindow]],
    ) -> None:
        import torch

        n_threads = torch.get_num_threads()
        if self.device != "cpu" or n_threads == 1:
            for batch in batches:
                function(batch)
            return
        try:
            # Threads, not processes: torch releases the GIL in its kernels, and the weights are
            # held once. `set_num_threads(1)` runs in each thread of the pool, since OpenMP keeps
            # that number per thread.
            with ThreadPoolExecutor(
                n_threads, initializer=torch.set_num_threads, initargs=(1,)
            ) as pool:
                # The results are None; taking them raises what a thread raised.
                for _ in pool.map(function, batches):
                    pass
        finally:
            torch.set_num_threads(n_threads)

    def _forward(self, ids: I64, batch: list[ContextWindow]) -> F32:
        """Returns the vectors of what the windows own, in their order."""
        import torch

        longest = max(self._n_tokens(window) for window in batch)
        # A row of `inputs` for a window whose middle is its own, and what `own` selects of it:
        #
        #     <s>  w1  w2  w3  w4  w5  </s> <pad> <pad>
        #      .    .   x   x   x   .    .     .     .
        inputs = np.full((len(batch), longest), self._pad, np.int64)
        own = np.zeros(inputs.shape, bool)
        attention = np.zeros(inputs.shape, np.int64)
        for row, window in enumerate(batch):
            tokens = [*self._prefix, *ids[window.start : window.stop], *self._suffix]
            inputs[row, : len(tokens)] = tokens
            attention[row, : len(tokens)] = 1
            # From a subword's place in the batch of sentences to its column.
            shift = len(self._prefix) - window.start
            own[row, window.own_start + shift : window.own_stop + shift] = True
        with torch.inference_mode():
            hidden = self._hidden(
                input_ids=torch.from_numpy(inputs).to(self.device),
                attention_mask=torch.from_numpy(attention).to(self.device),
            )
            # A boolean mask selects in row-major order, which is the order of `index` in `encode`.
            # Selected on the device, so that only vectors that are kept are copied.
            return hidden[torch.from_numpy(own).to(self.device)].float().cpu().numpy()


# Weak, so that an encoder is freed with the last aligner that uses it; a cache would hold it as
# long as the process.
_LOADED: WeakValueDictionary[tuple[str, int | None, str, str], TorchEncoder] = WeakValueDictionary()
_LOAD_LOCK = threading.Lock()
"""Two threads of a worker would load an encoder twice."""


def load_encoder(
    folder: str,
    *,
    layer: int | None,
    prefix: str = "",
    digests: tuple[tuple[str, str], ...] = (),
) -> TorchEncoder:
    """Returns an encoder, loaded once in a process as long as it is in use.

    Args:
        folder: as for TorchEncoder.
        layer: likewise.
        prefix: likewise.
        digests: folders, and the digest each had where the pipeline was built.

    Raises:
        ConfigError: no encoder is there, or its files are others than they were.
    """
    expected = dict(digests).get(folder, "")
    with _LOAD_LOCK:
        encoder = _LOADED.get((folder, layer, prefix, expected))
        if encoder is None:
            encoder = TorchEncoder(folder, layer=layer, prefix=prefix)
            if expected and encoder.digest != expected:
                raise ConfigError(
                    f"encoder {folder}: is {encoder.digest} on this worker, expected {expected}; "
                    "put the same files there"
                )
            _LOADED[folder, layer, prefix, expected] = encoder
    return encoder


def _load_model(folder: str, *, half: bool) -> Any:
    import torch
    from transformers import AutoModel

    dtype = torch.float16 if half else torch.float32
    model, missing = load_weights(AutoModel, folder, expected="encoder", dtype=dtype)
    # A pooler that was never trained is made up at random, and not used here.
    check_whole(folder, [name for name in missing if "pooler" not in name])
    if model.config.is_encoder_decoder:
        raise ConfigError(f"encoder {folder}: is an encoder-decoder; expected an encoder")
    return model.eval()


def _load_tokenizer(folder: str) -> Any:
    from transformers import AutoTokenizer

    tokenizer = load_pretrained(AutoTokenizer, folder, expected="tokenizer")
    if getattr(tokenizer, "add_prefix_space", None) is False:
        # Byte-level BPE tells a word's beginning by the space before it; words come without one.
        tokenizer = load_pretrained(
            AutoTokenizer, folder, expected="tokenizer", add_prefix_space=True
        )
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
    # Special tokens belong to no word, so what stands around the first and the last token of one is
    # special.
    real = [k for k, word in enumerate(encoded.word_ids) if word is not None] or [1]
    return encoded.ids[: real[0]], encoded.ids[real[-1] + 1 :]


def _max_positions(model: Any) -> int:
    """Returns how many tokens an input may have.

    RoBERTa and its kin count positions from the padding's id on, so they have fewer than rows.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings"):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - unused
    return int(getattr(model.config, "max_position_embeddings", None) or 512)


def _hidden_at(model: Any, layer: int | None, folder: str) -> Callable[..., Any]:
    """Returns the function from inputs to the hidden states of a layer; drops the layers above."""
    n_layers = int(model.config.num_hidden_layers)
    layer = default_layer(n_layers) if layer is None else layer
    if not 0 <= layer <= n_layers:
        raise ConfigError(f"layer is {layer}, but encoder {folder} has layers 0 to {n_layers}")
    if layer == n_layers:
        return lambda **inputs: model(**inputs).last_hidden_state
    layers = _layer_list(model, n_layers)
    if layers is None:
        return lambda **inputs: model(**inputs, output_hidden_states=True).hidden_states[layer]
    # A hook, since what follows the last layer (a final norm, a pooler) is no part of this one.
    # One layer stays even for the embeddings: its input is what the hook below reads.
    del layers[max(layer, 1) :]
    # Hooks are shared by the threads of `_for_each`, which run one model at the same time.
    seen = threading.local()

    def keep(value: Any) -> None:
        seen.value = value

    if layer == 0:
        layers[0].register_forward_pre_hook(
            # transformers passes hidden states by position in some models and by name in others;
            # with `with_kwargs` the hook sees both.
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
    # Two lists of as many modules: which one holds the layers cannot be known, and the slower way
    # with all hidden states serves any model.
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
            # Not `isinstance`: a subclass may do more in `forward` than multiply.
            if type(module) is torch.nn.Linear:
                _pack(module)


def _pack(linear: Any) -> None:
    import torch

    # oneDNN chooses a layout for about so many rows; it is right for any number.
    packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight, BATCH_TOKENS["cpu"])
    linear.forward = partial(_packed_linear, packed, linear.bias)
    linear.weight = torch.nn.Parameter(torch.empty(0), requires_grad=False)  # held once


def _packed_linear(packed: Any, bias: Any, vectors: Any) -> Any:
    import torch

    return torch.ops.mkldnn._linear_pointwise(vectors, packed, bias, "none", [], "")
