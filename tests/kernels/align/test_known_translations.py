"""Dictionaries as an aligner takes them."""

import pytest

from bitextile.kernels.align.known_translations import parse_sources, word_translations
from bitextile.kernels.bitext.dictionary.source import DictionarySource, read_dictionary
from bitextile.schema.errors import ConfigError


@pytest.mark.parametrize("entry", ["en-de.txt", "en=x", "en,de=", "en,de,fr=x", ""])
def test_an_entry_of_another_form_is_refused(entry: str) -> None:
    with pytest.raises(ConfigError, match="expected SRC,TGT=PATH"):
        parse_sources([entry])


def test_tags_are_canonical_and_a_language_pair_has_one() -> None:
    sources = parse_sources(["DE,en=a=b.txt", "zh,en=c.txt"])
    assert list(sources) == ["de-en", "en-zh"]
    assert (sources["de-en"].src_lang, sources["de-en"].path) == ("de", "a=b.txt")
    with pytest.raises(ConfigError, match="two lexicons of de-en; join 'en,de=y'"):
        parse_sources(["de,en=x", "en,de=y"])


@pytest.mark.parametrize(("src_lang", "tgt_lang"), [("en", "zh"), ("zh", "en")])
def test_single_words_with_the_smaller_tag_first(tmp_path, src_lang, tgt_lang) -> None:
    path = tmp_path / "d.tsv"
    pairs = [("dog", "狗"), ("hot dog", "热狗"), ("house", "房 子")]
    flipped = [pair[::-1] if src_lang == "zh" else pair for pair in pairs]
    path.write_text("".join(f"{a}\t{b}\n" for a, b in flipped), encoding="utf-8")
    source = DictionarySource(
        path=str(path), src_lang=src_lang, tgt_lang=tgt_lang, columns="src,tgt"
    )
    words = word_translations(read_dictionary(source))
    assert words.to_pylist() == [{"src": "dog", "tgt": "狗"}]
