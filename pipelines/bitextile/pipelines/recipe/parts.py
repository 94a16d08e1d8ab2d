"""What the parts of a recipe have in common: a command's configuration, and a little more."""

from dataclasses import dataclass, fields
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    Tag,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")]


class Strict(BaseModel):
    """A part of a recipe: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Base of the parts that are a configuration with more fields: both halves are checked."""

    def __post_init__(self) -> None:
        """Runs the checks of every configuration that the part is made of."""
        # A class inherits one __post_init__, that of its first base; the others would never run.
        for base in type(self).__bases__:
            if not issubclass(base, Part) and hasattr(base, "__post_init__"):
                base.__post_init__(self)


def base_config(kind: type[Config], part: Any) -> Config:
    """Returns the configuration of class `kind` that a part, an instance of a subclass, carries."""
    # An object of exactly that class: `asdict` of the part itself would write the recipe's own
    # fields, such as `name`, into the manifest.
    return kind(**{entry.name: getattr(part, entry.name) for entry in fields(kind)})


@dataclass(frozen=True)
class ChosenBy:
    """Marks a union of dataclasses, in `Annotated`, that a field tells apart.

    Attributes:
        name: of the field, in each a Literal of one value; the first is the default.
    """

    name: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Returns the schema of the union with pydantic's own discriminator."""
        kinds = get_args(source)
        # pydantic's own discriminator by field name wants the field to be written; here the first
        # alternative is the default, as on the command line.
        names = [get_args(get_type_hints(kind)[self.name])[0] for kind in kinds]

        # A name that no alternative has goes to pydantic as it is, whose error lists those there
        # are.
        def chosen(value: Any) -> str:
            given = value.get if isinstance(value, dict) else partial(getattr, value)
            return str(given(self.name, names[0]))

        tagged = [Annotated[kind, Tag(name)] for kind, name in zip(kinds, names)]
        discriminator = Discriminator(
            chosen,
            # pydantic's own message speaks of tags "found using chosen()".
            custom_error_type=self.name,
            custom_error_message=f"expected {self.name} {', '.join(names[:-1])} or {names[-1]}",
        )
        return handler.generate_schema(Annotated[reduce(or_, tagged), discriminator])


def one_or_several(value: Any) -> Any:
    """Returns a list of parts, also for one that stands alone and for none."""
    if value is None:
        return ()
    return (value,) if isinstance(value, dict) else value


Several = BeforeValidator(one_or_several)
"""Marks a tuple of parts that a recipe may write as one part."""
