"""Wrong settings in plain words: the oracle is a reader who knows which key was meant."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitextile.schema.config_problems import MAX_PROBLEMS, nearest, problems


@dataclass(frozen=True, kw_only=True)
class Boat:
    """An alternative."""

    kind: Literal["boat"] = "boat"
    sail_area: float = 1.0
    crew: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Train:
    """Another."""

    kind: Literal["train"] = "train"
    wagons: int = 1


class Stop(BaseModel):
    """A part."""

    model_config = ConfigDict(extra="forbid")
    town: str
    minutes: Annotated[int, Field(ge=1)] = 1
    between: tuple[str, str] | None = None
    platform: str | int = 0
    open: bool = True


class Journey(BaseModel):
    """A whole."""

    model_config = ConfigDict(extra="forbid")
    stops: Annotated[tuple[Stop, ...], Field(min_length=1)] = (Stop(town="x"),)
    vehicle: Annotated[Boat | Train, Field(discriminator="kind")] = Boat()
    names: dict[str, float] = {}


def told(content: Any, **options: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Journey.model_validate(content)
    return problems(caught.value.errors(), Journey, **options)


TOWN = {"town": "Ulm"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"stop": []}, "unknown key 'stop' (did you mean 'stops'?)"),
        ({"stops": [{"Town": "Ulm"}]}, "unknown key 'stops.0.Town' (did you mean 'town'?)"),
        ({"stops": [TOWN | {"plat-form": 3}]}, "'stops.0.plat-form' (did you mean 'platform'?)"),
        ({"minutes": 3}, "unknown key 'minutes' (it is a key of 'stops')"),
        ({"stops": [TOWN | {"zzz": 1}]}, "(expected town, minutes, between, platform or open)"),
        ({"stops": [{}]}, "stops.0.town is missing"),
        ({"stops": TOWN}, "got a mapping with town; begin each item with `- `"),
        ({"stops": "Ulm"}, "stops: expected a list, each item a mapping with keys such as town"),
        ({"stops": []}, "stops: expected at least 1 item, got []"),
        ({"stops": [None]}, "stops.0: expected a mapping with keys such as town, minutes"),
        ({"stops": [TOWN | {"minutes": "soon"}]}, "minutes: expected a whole number, got 'soon'"),
        ({"stops": [TOWN | {"minutes": 0}]}, "minutes: expected a number at least 1, got 0"),
        ({"stops": [TOWN | {"open": "ja"}]}, "open: expected true or false, got 'ja'"),
        ({"stops": [TOWN | {"platform": []}]}, "platform: expected text or a whole number, got []"),
        ({"stops": [TOWN | {"between": ["a"]}]}, "between: expected a list of 2, each text, got"),
        ({"stops": [TOWN | {"between": list("abc")}]}, "expected a list of 2, each text, got"),
        ({"vehicle": {"kind": "bot"}}, "vehicle.kind is 'bot', expected one of boat, train (did"),
        ({"vehicle": {"kin": "boat"}}, "unknown key 'vehicle.kin' (did you mean 'kind'?)"),
        ({"vehicle": {}}, "vehicle.kind is missing, expected one of boat, train"),
        ({"vehicle": "boat"}, "vehicle: expected a mapping with kind and its options, got 'boat'"),
        ({"vehicle": {"kind": "train", "crew": []}}, "crew is an option of boat, not of train"),
        ({"vehicle": {"kind": "boat", "crew": "Ana"}}, "each item text, got 'Ana'; write [Ana]"),
        ({"names": []}, "names: expected a mapping of keys to values, each a number, got []"),
        ({"names": {"a": "b"}}, "names.a: expected a number, got 'b'"),
        ({1: 2}, "the key 1 is not text; put it in quotes"),
    ],
    ids=json.dumps,
)
def test_each_mistake_is_one_plain_sentence(content: Any, sentence: str) -> None:
    got = told(content)
    assert sentence in got
    # pydantic's own words for its types help nobody who writes YAML.
    for word in ("Input should", "valid", "tuple", "dictionary", "NoneType", "Field", "[type="):
        assert word not in got


def test_a_misspelt_key_is_not_called_missing_as_well() -> None:
    assert told({"stops": [{"twon": "Ulm"}]}) == "unknown key 'stops.0.twon' (did you mean 'town'?)"


def test_all_mistakes_are_named_up_to_a_number() -> None:
    many = {f"stops{i}{i}": 1 for i in range(MAX_PROBLEMS + 3)}
    got = told(many)
    assert got.count("unknown key") == MAX_PROBLEMS
    assert got.endswith("(and 3 more)")


def test_a_place_is_named_as_it_was_written() -> None:
    content = {"stops": [{"town": "Ulm", "minuts": 1}]}
    assert told(content, renamed={("stops", 0): ("way", "Ulm")}).startswith(
        "unknown key 'way.Ulm.minuts'"
    )


def test_a_key_of_another_part_is_sent_there() -> None:
    assert told({"steps": 1}, elsewhere={"steps": "dance"}) == (
        "unknown key 'steps' (it is a key of 'dance')"
    )


@given(st.sampled_from(list(Stop.model_fields)), st.integers(0, 2), st.integers(0, 3))
def test_one_slip_in_any_key_finds_it(key: str, at: int, kind: int) -> None:
    slip = [
        key[:at] + key[at + 1 :],
        key[:at] + key[at] + key[at:],
        key[:at] + key[at + 1] + key[at] + key[at + 2 :],
        key[:at] + "x" + key[at + 1 :],
    ][kind]
    assert nearest(slip, Stop.model_fields) == key
