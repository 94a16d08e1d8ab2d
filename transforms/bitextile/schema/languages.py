"""Language tags as different sources write them, brought to one form.

Corpora and tools tag English as `en`, `EN-US`, `en_US`, `eng` or `eng-Latn`; ISO 639-2 has two
codes for some languages (`fre` and `fra`), and files that name an individual language mean the one
its macrolanguage's code usually stands for (`cmn` and `zh`). The usual form is that of BCP 47 and
CLDR:

    shortest code    fra -> fr, zho -> zh, srp -> sr
    one code         iw -> he, cmn -> zh, arb -> ar, tl -> fil, prs -> fa-AF
    script           only where the language is written in several: eng-Latn -> en, sr-Latn stays
    Chinese          by script, not by a region that tells it: zh-TW -> zh-Hant, zh-CN -> zh-Hans
"""

import re
from functools import cache, lru_cache
from importlib import resources

_ENCODING = re.compile(r"\..*")  # of a POSIX locale: de_DE.UTF-8
_REGION = re.compile("[a-z]{2}|[0-9]{3}", re.IGNORECASE)
_TAG = re.compile(
    "[a-z]{2,3}([-_][a-z]{4})?([-_]([a-z]{2}|[0-9]{3}))?([-_][a-z0-9]{5,8})*", re.IGNORECASE
)
_LOCALE_SCRIPTS = {"latin": "Latn", "cyrillic": "Cyrl", "devanagari": "Deva", "arabic": "Arab"}
_HAN_REGIONS = {"CN": "Hans", "SG": "Hans", "MY": "Hans", "TW": "Hant", "HK": "Hant", "MO": "Hant"}
_HAN_USUAL = {"Hans": "CN", "Hant": "TW"}
_NO_REGION = "XX"  # mBART's placeholder: en_XX, ar_AR


@cache
def _table(name: str) -> dict[str, str]:
    """Returns a section of the table of subtags; those without a value have an empty one."""
    text = resources.files(__package__).joinpath("language_subtags.txt").read_text("utf-8")
    section = text.partition(f"[{name}]")[2].partition("[")[0]
    return {code: value for code, _, value in (w.partition("=") for w in section.split())}


@lru_cache(maxsize=4096)
def canonical_tag(tag: str) -> str:
    """Returns a tag in the usual form.

    Args:
        tag: as a file has it; what is no tag comes back in lower case.

    Source: RFC 5646, sections 2.2 and 4.5; Unicode TS 35, «Canonical Unicode Locale Identifiers».

    >>> canonical_tag("EN_us"), canonical_tag("fre-FR"), canonical_tag("zho_hant_TW.UTF-8")
    ('en-US', 'fr-FR', 'zh-Hant')
    >>> canonical_tag("eng-Latn"), canonical_tag("arb_Arab"), canonical_tag("sr_RS@latin")
    ('en', 'ar', 'sr-Latn-RS')
    """
    plain, _, modifier = tag.strip().partition("@")
    first, *rest = _ENCODING.sub("", plain).replace("_", "-").lower().split("-")
    while rest and len(rest[0]) == 3 and rest[0].isalpha():  # extended form: zh-cmn is cmn
        first, *rest = rest
    first, *implied = _replacement(first).split("-")
    script, region, rest = _parts(rest)
    script = script or _LOCALE_SCRIPTS.get(modifier, "") or _parts(implied)[0]
    region = region or _parts(implied)[1]
    if first == "zh":
        script = script or _HAN_REGIONS.get(region, "")
        region = "" if region == _HAN_USUAL.get(script) else region
    if script == _table("usual_scripts").get(first):
        script = ""
    return "-".join([part for part in (first, script, region) if part] + rest)


def language_of(tag: str) -> str:
    """Returns the usual code of a tag's language, without script and region.

    >>> language_of("zho-Hans"), language_of("pt_BR")
    ('zh', 'pt')
    """
    return canonical_tag(tag).partition("-")[0]


def _replacement(code: str) -> str:
    """Returns the usual code of a language, with the script or region that an old one implies."""
    return _table("aliases").get(code) or _table("bibliographic").get(code) or code


def _parts(subtags: list[str]) -> tuple[str, str, list[str]]:
    """Returns script and region at the head of subtags, "" for none, and what follows."""
    rest = list(subtags)
    script = rest.pop(0).title() if rest and len(rest[0]) == 4 and rest[0].isalpha() else ""
    region = rest.pop(0).upper() if rest and _REGION.fullmatch(rest[0]) else ""
    return script, "" if region == _NO_REGION else region, rest


def problem_with(tag: str) -> str | None:
    """Returns what is wrong with a tag of the right form, and the right spelling where it is known.

    Args:
        tag: in any case, such as `zh-Hant-HK`.

    Returns:
        None where all subtags are registered and the code is not one of library catalogues.

    >>> problem_with("ger-AT"), problem_with("zh_Hant")
    ('ger is a code for library catalogues; write de-AT', None)
    """
    first, *rest = tag.replace("_", "-").lower().split("-")
    if first in _table("bibliographic"):
        return f"{first} is a code for library catalogues; write {canonical_tag(tag)}"
    if first not in _table("languages"):
        meant = meant_language(first)
        advice = (
            f"did you mean {meant}?" if meant else "expected a code of BCP 47, as in en, yue, pt-BR"
        )
        return f"{first} is no language; {advice}"
    while rest and len(rest[0]) == 3 and rest[0].isalpha():
        rest = rest[1:]
    script, region, _ = _parts(rest)
    if script and script not in _table("scripts"):
        return f"{script} is no script; expected one of ISO 15924, as in zh-Hant"
    if region and region not in _table("regions"):
        return f"{region} is no region; expected one of ISO 3166, as in pt-BR"
    return None


def meant_language(word: str) -> str | None:
    """Returns the code of a language that is named in English, or by its country's code.

    >>> meant_language("German"), meant_language("ua"), meant_language("xx")
    ('de', 'uk', None)
    """
    return _table("mistaken").get(word.lower())


def is_variety_of(tag: str, language: str) -> bool:
    """Returns whether a tag is of a language or of a variety of it, however both are written.

    >>> is_variety_of("eng-GB", "en"), is_variety_of("pt", "pt-BR"), is_variety_of("cmn_TW", "zh")
    (True, False, True)
    """
    found, wanted = canonical_tag(tag), canonical_tag(language)
    return found == wanted or found.startswith(wanted + "-")


def key_readings(name: str) -> list[tuple[str, ...]]:
    """Returns the ways to read the name of a language pair or language, as canonical tags.

    Args:
        name: one tag or two, in any form and order, parted by a hyphen or a comma.

    >>> key_readings("eng-deu"), key_readings("en,zh_TW"), key_readings("fra")
    ([('de', 'en')], [('en', 'zh-Hant')], [('fr',)])
    >>> key_readings("zh-Hans-en"), key_readings("pt-BR")
    ([('en', 'zh-Hans')], [('br', 'pt'), ('pt-BR',)])
    """
    parts = name.replace(",", "-").split("-")
    splits = [["-".join(parts[:k]), "-".join(parts[k:])] for k in range(1, len(parts))]
    return [
        tuple(sorted(canonical_tag(tag) for tag in tags))
        for tags in (*splits, ["-".join(parts)])
        if all(_TAG.fullmatch(tag) and not problem_with(tag) for tag in tags)
    ]
