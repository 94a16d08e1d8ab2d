"""What is wrong with a configuration, in plain words: each key with the nearest right one.

Recipes and run configurations are pydantic models, or dataclasses that pydantic checks. It says at
which place something is wrong; what belongs there follows from the types of the fields.
"""

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

MAX_PROBLEMS = 6
"""Problems that one message names; the others are counted."""
_LIKENESS = 0.66
"""Share of characters in common (difflib's ratio) from which a key is taken for a misspelt one:
more than `colour` has with `columns` (0.62), less than `symmetrization` with `symmetrize`."""
_PREFIX = 4
"""Letters that a word must have to be taken for the beginning of another."""
_SHOWN_CHARS = 60
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING = ("missing", "missing_keyword_only_argument", "missing_argument")
_OWN_WORDS = ("value_error", "assertion_error", "string_pattern_mismatch", "string_too_short")
"""Errors of checks that say more than the type."""
_BOUNDS = {
    "greater_than": "greater than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
_WRITTEN = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}

Place = tuple[str | int, ...]
Errors = Sequence[Mapping[str, Any]]


def nearest(word: str, known: Iterable[str], *, likeness: float = _LIKENESS) -> str | None:
    """Returns the known word that a misspelt one is most like; None if it is like none.

    Case, and whether parts are joined by `-`, `_` or nothing, do not count.

    >>> nearest("langage", ["language", "corpus"]), nearest("max-Words", ["max_words"])
    ('language', 'max_words')
    >>> nearest("colour", ["language", "corpus"]) is None
    True
    """
    plain, given = {_plain(name): name for name in known}, _plain(word)
    found = get_close_matches(given, plain, n=1, cutoff=likeness)
    if not found and len(given) >= _PREFIX:
        found = [name for name in plain if name.startswith(given)]
    return plain[found[0]] if found else None


def did_you_mean(word: Any, known: Iterable[str]) -> str:
    """Returns a hint in brackets with the nearest known word; empty if there is none."""
    near = nearest(str(word), known)
    return f" (did you mean {near!r}?)" if near else ""


def listed(names: Iterable[Any], last: str = "or") -> str:
    """Returns names as a list in a sentence.

    >>> listed(["hmm", "eflomal", "simalign"])
    'hmm, eflomal or simalign'
    """
    *first, end = [str(name) for name in names] or ["nothing"]
    return f"{', '.join(first)} {last} {end}" if first else end


def problems(
    errors: Errors,
    model: type,
    *,
    elsewhere: Mapping[str, str] | None = None,
    renamed: Mapping[Place, Place] | None = None,
) -> str:
    """Returns what pydantic has found, as parts of one sentence.

    Args:
        errors: of a ValidationError.
        model: that was to be filled.
        elsewhere: keys of other places than `model` to the place's name.
        renamed: beginnings of places to what the user wrote there.
    """
    found = _Problems(model, elsewhere or {}, renamed or {}, errors).sentences()
    more = len(found) - MAX_PROBLEMS
    shown = "; ".join(found[:MAX_PROBLEMS])
    return f"{shown} (and {more} more)" if more > 0 else shown


class _Found(NamedTuple):
    """Where an error is: the place as the user wrote it, and what belongs there."""

    place: Place
    hint: Any
    alternative: str
    """Of the innermost union passed through, the one that was chosen."""
    others: Mapping[str, Any]
    """All of that union, by name."""


class _Problems:
    def __init__(
        self,
        model: type,
        elsewhere: Mapping[str, str],
        renamed: Mapping[Place, Place],
        errors: Errors,
    ) -> None:
        self.model, self.elsewhere, self.renamed = model, elsewhere, renamed
        self.errors = errors
        self.meant: set[Place] = set()

    def sentences(self) -> list[str]:
        # Unknown keys first: a misspelt key leaves another one missing, which then need not be
        # said.
        unknown = [self._unknown(e) for e in self.errors if e["type"] in _UNKNOWN]
        others: dict[Place, list[tuple[_Found, Mapping[str, Any]]]] = {}
        for error in self.errors:
            if error["type"] not in _UNKNOWN:
                found = self._find(error)
                others.setdefault(found.place, []).append((found, error))
        # One sentence for a place: of `text or a whole number` pydantic reports both.
        for place, at in others.items():
            unknown += self._wrong(place, *at)
        return unknown

    def _find(self, error: Mapping[str, Any]) -> _Found:
        found = _walk(self.model, error["loc"])
        # Of a list of fixed length: what is wrong is the list.
        if error["type"] in _MISSING and found.place and isinstance(found.place[-1], int):
            return _walk(self.model, error["loc"][:-1])
        return found

    def _unknown(self, error: Mapping[str, Any]) -> str:
        *before, key = error["loc"]
        parent = _walk(self.model, before)
        known = _keys(parent.hint)
        owners = [n for n, kind in parent.others.items() if key in _keys(kind)]
        if owners:
            at = f"{self._shown(parent.place)}: " if parent.place else ""
            return f"{at}{key} is an option of {listed(owners, 'and')}, not of {parent.alternative}"
        near = nearest(str(key), known)
        if near:
            self.meant.add((*parent.place, near))
        return f"unknown key {self._shown((*parent.place, key))!r}" + self._hint(key, near, known)

    def _hint(self, key: Any, near: str | None, known: Sequence[str]) -> str:
        places = {**self.elsewhere, **_places(self.model)}
        # Written right, at the wrong place.
        if str(key) in places:
            return f" (it is a key of {places[str(key)]!r})"
        if near:
            return f" (did you mean {near!r}?)"
        far = nearest(str(key), places, likeness=0.8) if known == _keys(self.model) else None
        if far:
            return f" (did you mean {far!r} of {places[far]!r}?)"
        return f" (expected {listed(known)})"

    def _wrong(
        self, place: Place, first: tuple[_Found, Mapping[str, Any]], *more: Any
    ) -> Iterator[str]:
        found, error = first
        key, kind, got = self._shown(place), str(error["type"]), error.get("input")
        at = f"{key}: " if key else ""
        if kind in _MISSING and place and isinstance(error["loc"][-1], str):
            if place not in self.meant:
                yield f"{key} is missing"
        elif kind == "too_short" and get_args(found.hint)[-1:] == (Ellipsis,):
            # Beside a refused entry pydantic reports that its list is too short: no news.
            if not got:
                yield f"{at}expected at least {error['ctx']['min_length']} item, got []"
        elif kind == "invalid_key":
            yield f"the key {_shown_value(error['loc'][-1])} is not text; put it in quotes"
        elif found.hint is _ALTERNATIVES:
            yield from self._untold(key, found, got)
        elif kind in _OWN_WORDS and not more:
            said = str(error["msg"]).removeprefix("Value error, ")
            # A check of several fields names their values itself.
            yield f"{at}{said}" + ("" if isinstance(got, dict) else f", got {_shown_value(got)}")
        elif kind in _BOUNDS:
            (bound,) = error["ctx"].values()
            yield f"{at}expected a number {_BOUNDS[kind]} {bound:g}, got {_shown_value(got)}"
        else:
            hint = _how_to_write(found.hint, got)
            yield f"{at}expected {_written(found.hint)}, got {_shown_value(got)}{hint}"

    def _untold(self, key: str, found: _Found, got: Any) -> Iterator[str]:
        """Yields what is wrong with an entry that does not say which alternative it is."""
        names, selector = list(found.others), _selector(tuple(found.others.values()))
        at = f"{key}." if key else ""
        if not isinstance(got, dict):
            told = f"a mapping with {selector} and its options"
            yield f"{key}: expected {told}, got {_shown_value(got)}"
            return
        known = {name for kind in found.others.values() for name in _keys(kind)}
        if selector in got and key.rpartition(".")[2] == str(got[selector]):
            # The name is the key, as that of an objective in a recipe.
            near = did_you_mean(got[selector], names) or f" (expected {listed(names)})"
            yield f"unknown key {key!r}{near}"
        elif selector in got:
            near = did_you_mean(got[selector], names)
            yield f"{at}{selector} is {got[selector]!r}, expected one of {', '.join(names)}{near}"
        else:
            unknown = [name for name in got if name not in known]
            wrong = next((n for n in unknown if nearest(str(n), [selector])), None)
            if wrong is None:
                yield f"{at}{selector} is missing, expected one of {', '.join(names)}"
        for name in got:
            if name not in known:
                yield f"unknown key {at + str(name)!r}{did_you_mean(name, known)}"

    def _shown(self, place: Place) -> str:
        for start, written in self.renamed.items():
            if place[: len(start)] == start:
                place = (*written, *place[len(start) :])
                break
        return ".".join(map(str, place))


_ALTERNATIVES = object()


def _walk(model: type, loc: Sequence[str | int]) -> _Found:
    """Returns the place of a pydantic `loc`, without the names of alternatives in it."""
    hint: Any = model
    place: list[str | int] = []
    alternative, others = "", dict[str, Any]()
    for part in loc:
        hint = _bare(hint)
        if choices := _alternatives(hint):
            # pydantic puts the name of the alternative in: nobody wrote it there.
            if part not in choices:
                return _Found(tuple(place), _ALTERNATIVES, "", choices)
            hint, alternative, others = choices[str(part)], str(part), choices
            continue
        if (inner := _inside(hint, part)) is None:
            break
        # A field of something within is no longer about the union.
        hint, alternative, others = inner, "", {}
        place.append(part)
    hint = _bare(hint)
    if choices := _alternatives(hint):
        return _Found(tuple(place), _ALTERNATIVES, "", choices)
    return _Found(tuple(place), hint, alternative, others)


def _inside(hint: Any, part: str | int) -> Any:
    """Returns the type of an item or field; None where there is none."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(part, int) and origin in (tuple, list):
        if origin is list or arguments[-1] is Ellipsis:
            return arguments[0]
        return arguments[min(part, len(arguments) - 1)]
    if origin in (dict, Mapping):
        return arguments[1]
    return _hints(hint).get(str(part)) if isinstance(hint, type) else None


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Returns the types of the fields of a model or dataclass, in their order; else none."""
    if model_fields := getattr(kind, "model_fields", None):
        return {name: field.annotation for name, field in model_fields.items()}
    if not is_dataclass(kind):
        return {}
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind)}


def _keys(hint: Any) -> list[str]:
    return list(_hints(hint)) if isinstance(hint, type) else []


def _bare(hint: Any) -> Any:
    """Returns a type without what it is annotated with and without `| None`."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        some = [part for part in get_args(hint) if part is not type(None)]
        return _bare(some[0]) if len(some) == 1 else hint
    return hint


def _alternatives(hint: Any) -> dict[str, Any]:
    """Returns the classes of a union by the names that tell them apart; else none."""
    if get_origin(hint) not in (Union, types.UnionType):
        return {}
    kinds = tuple(_bare(part) for part in get_args(hint) if part is not type(None))
    selector = _selector(kinds)
    return {_literals(_hints(kind)[selector])[0]: kind for kind in kinds} if selector else {}


def _selector(kinds: tuple[Any, ...]) -> str:
    """Returns the field that tells classes apart: in each a Literal of one value."""
    shared = [name for name in _keys(kinds[0]) if all(name in _keys(kind) for kind in kinds)]
    one = [n for n in shared if all(len(_literals(_hints(kind)[n])) == 1 for kind in kinds)]
    return one[0] if one else ""


def _literals(hint: Any) -> tuple[str, ...]:
    hint = _bare(hint)
    return get_args(hint) if get_origin(hint) is Literal else ()


@cache
def _places(model: type) -> dict[str, str]:
    """Returns the keys below the top of a model that are at one place only, and that place."""
    found: dict[str, set[str]] = {}
    for name, hint in _hints(model).items():
        for key in _keys_below(hint):
            found.setdefault(key, set()).add(name)
    own = _keys(model)
    return {k: next(iter(at)) for k, at in found.items() if len(at) == 1 and k not in own}


def _keys_below(hint: Any) -> Iterator[str]:
    bare = _bare(hint)
    if get_origin(bare) is tuple:
        bare = _bare(get_args(bare)[0])
    for kind in _alternatives(bare).values() or [bare]:
        yield from _keys(kind)


def _written(hint: Any) -> str:
    """Returns what a value of a type is called."""
    hint = _bare(hint)
    if choices := _literals(hint):
        return listed(filter(None, choices))
    if kinds := _alternatives(hint):
        return f"a mapping with {_selector(tuple(kinds.values()))} and its options"
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return listed(_written(part) for part in arguments if part is not type(None))
    if origin in (tuple, list):
        if origin is list or arguments[-1] is Ellipsis:
            return f"a list, each item {_written(arguments[0])}"
        return f"a list of {len(arguments)}, each {_written(arguments[0])}"
    if origin in (dict, Mapping):
        each = "" if arguments[1] is Any else f", each {_written(arguments[1])}"
        return f"a mapping of keys to values{each}"
    if keys := _keys(hint):
        return f"a mapping with keys such as {listed(keys[:3], 'and')}"
    return _WRITTEN.get(hint, "another value")


def _shown_value(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"a mapping with {listed(list(value)[:3], 'and')}" if value else "an empty mapping"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _how_to_write(hint: Any, got: Any) -> str:
    """Returns a hint at the right way to write what was meant; empty if there is none to see."""
    if get_origin(hint) in (tuple, list) and not isinstance(got, list):
        if isinstance(got, dict):
            return "; begin each item with `- `"
        return f"; write [{got}]" if isinstance(got, (str, int)) and len(str(got)) < 30 else ""
    near = nearest(got, filter(None, _literals(hint))) if isinstance(got, str) else None
    return f" (did you mean {near!r}?)" if near else ""


def _plain(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "").replace(" ", "")
