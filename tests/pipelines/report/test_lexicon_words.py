"""Which words of a lexicon are shown."""

from bitextile.pipelines.report.lexicon_words import lexicon_words
from bitextile.schema.dataset import open_dataset


def test_lexicon_shows_words_with_their_translations_best_first(all_kinds):
    (entry,) = lexicon_words(open_dataset(all_kinds[3]), 8)
    assert (entry.word, entry.count) == ("بيت", 4)
    assert [t[0] for t in entry.translations] == ["haus", "heim"]
