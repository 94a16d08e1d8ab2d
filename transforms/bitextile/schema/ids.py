r"""Ids of rows and names of language pairs: the same wherever a row came from.

A pair and its reverse are the same pair, so an id is taken over the sides in sorted order:
`blake2b-128("de" US "Hallo." RS "en" US "Hello.")`, with the ASCII unit and record separators,
which normalised text never contains.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

import pyarrow as pa

from bitextile.schema.errors import ConfigError
from bitextile.schema.languages import canonical_tag, meant_language, problem_with

_TAG = re.compile(
    r"[A-Za-z]{2,3}([-_][A-Za-z]{3})?([-_][A-Za-z]{4})?([-_]([A-Za-z]{2}|[0-9]{3}))?"
    r"([-_]([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*"
)


def stable_id(*parts: str) -> str:
    """Returns the 128-bit id over `parts` in their order, as 32 hex digits."""
    return blake2b("\x1e".join(parts).encode(), digest_size=16).hexdigest()


def pair_ids(src_lang: str, src: pa.StringArray, tgt_lang: str, tgt: pa.StringArray) -> pa.Array:
    """Returns the `pair_id` of each pair; the same whichever side comes first.

    Args:
        src_lang: BCP-47 tag of every `src`.
        src: sentences, normalised; no nulls.
        tgt_lang: BCP-47 tag of every `tgt`.
        tgt: as many sentences.

    >>> pair_ids("en", pa.array(["Hi"]), "ar", pa.array(["مرحبا"])) == pair_ids(
    ...     "ar", pa.array(["مرحبا"]), "en", pa.array(["Hi"]))
    True
    """
    a, b = f"{src_lang}\x1f", f"{tgt_lang}\x1f"
    ids = [
        stable_id(*sorted((a + s, b + t)))
        for s, t in zip(src.to_pylist(), tgt.to_pylist(), strict=True)
    ]
    return pa.array(ids, pa.string())


def text_ids(lang: str, text: pa.StringArray) -> pa.Array:
    """Returns the `text_id` of each sentence of language `lang`.

    >>> chinese, japanese = (text_ids(lang, pa.array(["你好。"])) for lang in ("zh", "ja"))
    >>> chinese == japanese
    False
    """
    return pa.array([stable_id(f"{lang}\x1f{t}") for t in text.to_pylist()], pa.string())


def language_tag(tag: str) -> str:
    """Returns a BCP-47 tag in the one form that datasets use; see `languages.canonical_tag`.

    Raises:
        ConfigError: it has not the form `language[-Script][-REGION][-variant]`, or a part of it is
            not registered.

    >>> language_tag("ZH_hant"), language_tag("deu"), language_tag("fra-Latn-CA")
    ('zh-Hant', 'de', 'fr-CA')
    """
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        quote = '; YAML reads a bare no as false: write "no"' if tag is False else ""
        meant = meant_language(tag) if isinstance(tag, str) else None
        raise ConfigError(
            f"language {tag!r} is not a BCP-47 tag; expected a form such as "
            f"{meant or 'en, zh-Hant or pt-BR'}{quote}"
        )
    if (problem := problem_with(tag)) is not None:
        raise ConfigError(f"language {tag!r}: {problem}")
    return canonical_tag(tag)


def language_key(languages: Iterable[str]) -> str:
    """Returns the name of a language pair or language: its tags, sorted, joined by a hyphen.

    >>> language_key(["en", "de"]), language_key(["zh"])
    ('de-en', 'zh')
    """
    return "-".join(sorted(languages))
