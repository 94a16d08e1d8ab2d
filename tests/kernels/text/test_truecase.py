"""Casing of a corpus: counted inside sentences, whatever the batches."""

from bitextile.kernels.text.truecase import EMPTY_CASING, casing_of

SEEN = (
    ("en", "Here the dogs run on Monday, and I run it. He is it."),
    ("de", "Ja, der Hund läuft: die Hunde laufen und der Hund auch."),
)


def test_what_is_small_is_counted_inside_sentences_whatever_the_batches(aligned) -> None:
    batch = aligned((*SEEN, []), (("en", "The dogs. On it"), ("tr", "ışık Işık ışık"), []))
    small = casing_of([batch]).small.to_pylist()
    assert [word.split("\x1f") for word in small] == [
        *(["de", word] for word in ("auch", "der", "die", "laufen", "läuft", "und")),
        *(["en", word] for word in ("and", "dogs", "is", "it", "on", "run", "the")),
    ]
    assert casing_of([batch.slice(1), batch.slice(0, 1)]).small.to_pylist() == small
    assert casing_of([]).small.equals(EMPTY_CASING.small)
