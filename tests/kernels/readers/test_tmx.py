"""TMX: languages, inline codes, entities, files cut short."""

import gzip

import pytest

from bitextile.schema.errors import InputError
from corpus_files import read, source, texts


def tu(**sides: str) -> str:
    variants = "".join(
        f'<tuv xml:lang="{lang.replace("_", "-")}"><seg>{text}</seg></tuv>'
        for lang, text in sides.items()
    )
    return f"<tu>{variants}</tu>"


def tmx(tmp_path, *units: str, head: str = "", name: str = "t.tmx", **fields):
    text = f'<?xml version="1.0" encoding="UTF-8"?>{head}<tmx version="1.4"><header/><body>'
    text += "\n".join(units) + "</body></tmx>"
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return read(source(tmp_path, name, format="tmx", **fields))


@pytest.mark.parametrize("name", ["t.tmx", "t.tmx.gz"])
def test_units_of_a_tmx_in_the_order_of_the_languages_asked_for(tmp_path, name: str) -> None:
    units = [tu(ar="كلب", en="Dog"), tu(en="R&amp;D &#x1F436;", ar="&lt;ب&gt;", de="x")]
    kept, rejects = tmx(tmp_path, *units, name=name)
    assert texts(kept) == [(1, "Dog", "كلب"), (2, "R&D 🐶", "<ب>")]
    assert not rejects


def test_a_regional_tag_answers_for_its_language_and_not_the_reverse(tmp_path) -> None:
    kept, _ = tmx(tmp_path, tu(en_US="Color", AR="لون"), tu(en_GB="Colour", ar_EG="لون"))
    assert [r["src"] for r in kept] == ["Color", "Colour"]
    assert {r["src_lang"] for r in kept} == {"en"}
    unit = tu(en="Colour", ar="لون")
    kept, [reject] = tmx(tmp_path, unit, languages=("en-US", "ar"))
    assert not kept
    assert (reject["rule"], reject["detail"]) == ("missing_columns/1", "no <tuv> in en-US")


def test_the_exact_tag_is_preferred(tmp_path) -> None:
    units = tu(en_US="Color", en="Colour", ar="لون"), tu(zh_TW="貓", zh_CN="猫", ar="قطة")
    kept, _ = tmx(tmp_path, units[0])
    assert kept[0]["src"] == "Colour"
    kept, _ = tmx(tmp_path, units[1], languages=("zh-CN", "ar"))
    assert kept[0]["src"] == "猫"


def test_codes_of_the_markup_are_no_text(tmp_path) -> None:
    seg = 'Press <bpt i="1">&lt;b&gt;</bpt>OK<ept i="1">&lt;/b&gt;</ept><ph>%s</ph> <hi>now</hi>.'
    kept, _ = tmx(tmp_path, tu(en=seg, ar="x"))
    assert kept[0]["src"] == "Press OK now."


def test_units_without_one_of_the_languages_are_rejects(tmp_path) -> None:
    kept, [reject] = tmx(tmp_path, tu(en="Dog", ar="كلب"), tu(en="Cat", de="Katze"))
    assert len(kept) == 1
    assert (reject["line"], reject["detail"], reject["src"]) == (2, "no <tuv> in ar", "Cat\tKatze")


def test_an_empty_segment_is_an_empty_text(tmp_path) -> None:
    kept, _ = tmx(tmp_path, tu(en="", ar="كلب"), '<tu><tuv xml:lang="en"/>' + tu(ar="ق")[4:])
    assert [r["src"] for r in kept] == ["", ""]


def test_many_units_are_read_whole(tmp_path) -> None:
    kept, _ = tmx(tmp_path, *(tu(en=f"Dog {i}", ar=f"كلب {i}") for i in range(3000)))
    assert texts(kept) == [(i + 1, f"Dog {i}", f"كلب {i}") for i in range(3000)]


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE tmx SYSTEM "tmx14.dtd">',
        '<!DOCTYPE tmx PUBLIC "-//LISA" "tmx14.dtd">',
        "<!DOCTYPE tmx>",
    ],
)
def test_a_harmless_doctype_is_no_reason_to_refuse(tmp_path, head: str) -> None:
    kept, _ = tmx(tmp_path, tu(en="Dog", ar="كلب"), head=head)
    assert len(kept) == 1


def laughs() -> str:
    nested = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 9))
    return f'<!DOCTYPE tmx [<!ENTITY l0 "lol">{nested}]>'


@pytest.mark.parametrize(
    ("head", "entity"),
    [
        ('<!DOCTYPE tmx [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"),
        ('<!DOCTYPE tmx [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>', ""),
        (laughs(), "&l8;"),
        ('<!DOCTYPE tmx [<!ENTITY x "harmless">]>', "&x;"),
    ],
)
def test_an_entity_is_refused(tmp_path, head: str, entity: str) -> None:
    with pytest.raises(
        InputError, match=r"t\.tmx: the XML declares an entity .*remove the"
    ) as caught:
        tmx(tmp_path, tu(en=f"Dog {entity}", ar="كلب"), head=head)
    assert "root:" not in str(caught.value)


def test_a_tmx_that_was_cut_or_is_none_is_refused(tmp_path) -> None:
    for content in (b"", b"<tmx><body><tu>", b"just text", b"<tmx>\xff</tmx>"):
        (tmp_path / "t.tmx").write_bytes(content)
        with pytest.raises(InputError, match=r"t\.tmx: not well-formed TMX .*is it complete"):
            read(source(tmp_path, "t.tmx", format="tmx"))
    whole = gzip.compress(("<tmx><body>" + tu(en="Dog", ar="كلب") * 99 + "</body></tmx>").encode())
    (tmp_path / "t.tmx.gz").write_bytes(whole[:-12])
    with pytest.raises(InputError, match=r"t\.tmx\.gz: not well-formed TMX|cannot be read"):
        read(source(tmp_path, "t.tmx.gz", format="tmx"))


def test_xml_that_is_no_tmx_is_refused_as_nothing_in_it_was_read(tmp_path) -> None:
    (tmp_path / "t.tmx").write_text("<html><body>Dog</body></html>")
    with pytest.raises(InputError, match=r"t\.tmx: the root is <html>, expected <tmx>"):
        read(source(tmp_path, "t.tmx", format="tmx"))
