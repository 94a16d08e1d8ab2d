"""The codes by which a translation model's tokenizer knows languages, found for our tags.

    M2M-100        de -> __de__
    NLLB           fra_Latn, zho_Hant, arb_Arab
    mBART          fr_XX, zh_CN, ar_AR
    Marian         >>fra<<, put before the source of a model that translates into several

Each is a language tag in a form of its own, and `canonical_tag` brings all of them to ours. They
are special tokens: an ordinary piece that is spelled alike, such as `fr`, is no code.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bitextile.schema.errors import ConfigError
from bitextile.schema.languages import canonical_tag

_CODE = re.compile(r"[a-z]{2,3}(?:[_-][A-Za-z]{2,4}){0,2}")
_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_REGION = re.compile("[A-Z]{2}|[0-9]{3}")


def names_source(tokenizer: Any) -> bool:
    """Returns whether the tokenizer is told the source language, and the target as first token."""
    return hasattr(tokenizer, "src_lang")


def prefixes_source(tokenizer: Any) -> bool:
    """Returns whether the target language is told by a token before the source (Marian)."""
    return bool(getattr(tokenizer, "supported_language_codes", None))


def known_codes(tokenizer: Any) -> dict[str, str]:
    """Returns the token of each code; none where the tokenizer does not say which are codes."""
    if table := getattr(tokenizer, "lang_code_to_token", None):
        return dict(table)
    if prefixes_source(tokenizer):
        return {token.strip("<>"): token for token in tokenizer.supported_language_codes}
    roles = {str(getattr(tokenizer, f"{role}_token", None)) for role in _ROLES}
    tokens = [str(token) for token in getattr(tokenizer, "all_special_tokens", ())]
    codes = {token.strip("_"): token for token in tokens if token not in roles}
    return {code: token for code, token in codes.items() if _CODE.fullmatch(code)}


def code_of(tokenizer: Any, tag: str, *, given: Mapping[str, str], folder: str) -> str:
    """Returns the tokenizer's code of a language.

    Args:
        tokenizer: of the model.
        tag: canonical.
        given: codes that the user named, by tag.
        folder: of the model, to name it.

    Raises:
        ConfigError: the tokenizer has none for it, or several.
    """
    if tag in given:
        return given[tag]
    known = known_codes(tokenizer)
    # One that does not list its codes is asked for the tag itself.
    found = matching_codes(tag, tuple(known)) if known else (tag,)
    if len(found) > 1:
        raise ConfigError(
            f"{folder}: knows several codes of language {tag!r}: {', '.join(found)}; name one of "
            f"them (--language-code {tag}={found[0]})"
        )
    if not found:
        raise _unknown(folder, tag, tag)
    return found[0]


@lru_cache(maxsize=1024)
def matching_codes(tag: str, codes: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the codes that stand for a language: itself, else its varieties, else without region.

    >>> matching_codes("fr", ("eng_Latn", "fra_Latn")), matching_codes("ar", ("ar_AR", "en_XX"))
    (('fra_Latn',), ('ar_AR',))
    >>> matching_codes("zh", ("zho_Hans", "zho_Hant")), matching_codes("pt-BR", ("pt_XX",))
    (('zho_Hans', 'zho_Hant'), ('pt_XX',))
    """
    if tag in codes:
        return (tag,)
    canonical = {code: canonical_tag(code) for code in codes}
    same = tuple(code for code, own in canonical.items() if own == tag)
    varieties = tuple(code for code, own in canonical.items() if own.startswith(f"{tag}-"))
    language, _, last = tag.rpartition("-")
    if same or varieties or not _REGION.fullmatch(last):
        return same or varieties
    return matching_codes(language, codes)


def code_id(tokenizer: Any, code: str, *, tag: str, folder: str) -> int:
    """Returns the token of a code.

    Raises:
        ConfigError: the tokenizer has none.
    """
    known = known_codes(tokenizer)
    found = tokenizer.convert_tokens_to_ids(known.get(code, code))
    listed = not known or code in known or found in getattr(tokenizer, "all_special_ids", ())
    if found is None or found == tokenizer.unk_token_id or not listed:
        raise _unknown(folder, code, tag)
    return int(found)


def _unknown(folder: str, code: str, tag: str) -> ConfigError:
    return ConfigError(
        f"{folder}: knows no language {code!r}; name its code for {tag} "
        f"(--language-code {tag}=CODE)"
    )
