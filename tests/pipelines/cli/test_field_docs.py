"""Docstring lines under fields."""

from dataclasses import dataclass

from bitextile.pipelines.cli.field_docs import field_docs, first_sentence


@dataclass
class Base:
    """A base."""

    one: int = 1
    """The first."""
    bare: int = 0


@dataclass
class Derived(Base):
    """It documents one field anew."""

    two: int = 2
    """The second. With
    a reason."""
    one: int = 3
    """Another first."""


def test_lines_under_fields_are_found_and_a_subclass_may_say_them_anew() -> None:
    assert field_docs(Base) == {"one": "The first."}
    found = field_docs(Derived)
    assert found["one"] == "Another first."
    assert first_sentence(found["two"]) == "The second"


def test_a_sentence_ends_at_a_full_stop_and_a_space() -> None:
    assert first_sentence("Share, 0.5 or more; not less. Ours.") == "Share, 0.5 or more; not less"
    assert first_sentence("") == ""


def test_fields_of_a_model_have_their_lines_too() -> None:
    from bitextile.pipelines.recipe.recipe import RetrievalSet

    assert field_docs(RetrievalSet) == {
        "name": "Of the metrics.",
        "files": "Paths, relative to the recipe.",
    }
