"""TMX: languages, inline codes, entities, files cut short."""

import gzip

import pytest

from bitextile.kernels.readers import archives, encodings
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
    assert (reject["rule"], reject["detail"]) == (
        "missing_columns/1",
        "no <tuv> in en-US, but in en, ar",
    )


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
    assert (reject["line"], reject["detail"], reject["src"]) == (
        2,
        "no <tuv> in ar, but in en, de",
        "Cat\tKatze",
    )


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
    for content in (b"", b"<tmx><body><tu>", b"just text"):
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


# --- several variants of a language, and how their tags are written -----------------------------


def tuv(lang: str, text: str) -> str:
    return f'<tuv xml:lang="{lang}"><seg>{text}</seg></tuv>'


def test_each_combination_of_variants_is_a_row(tmp_path) -> None:
    unit = "".join((tuv("en", "ill"), tuv("ar", "مريض"), tuv("ar-EG", "عيان"), tuv("de", "krank")))
    kept, rejects = tmx(tmp_path, f"<tu>{unit}{tuv('en-US', 'sick')}</tu>")
    assert [(r["src"], r["tgt"], r["line"]) for r in kept] == [
        ("ill", "مريض", 1),
        ("ill", "عيان", 1),
        ("sick", "مريض", 1),
        ("sick", "عيان", 1),
    ]
    assert not rejects
    kept, _ = tmx(tmp_path, f"<tu>{unit}</tu>", languages=("ar",))
    assert [r["text"] for r in kept] == ["مريض", "عيان"]


def test_a_variant_answers_for_the_language_it_fits_best_only(tmp_path) -> None:
    unit = f"<tu>{tuv('pt', 'autocarro')}{tuv('pt-BR', 'ônibus')}</tu>"
    kept, _ = tmx(tmp_path, unit, languages=("pt", "pt-BR"))
    assert [(r["src"], r["tgt"]) for r in kept] == [("autocarro", "ônibus")]


def test_a_unit_of_very_many_combinations_is_a_reject(tmp_path) -> None:
    unit = "".join(tuv("en", str(i)) + tuv("ar", str(i)) for i in range(9))
    kept, [reject] = tmx(tmp_path, f"<tu>{unit}</tu>", tu(en="Dog", ar="كلب"))
    assert (len(kept), reject["rule"], reject["value"]) == (1, "too_many_variants/1", 81)


@pytest.mark.parametrize("tag", ["AR", "ara", "ar_EG", "ARA-eg", "arb", "ar-Arab-EG"])
def test_tags_match_however_they_are_written(tmp_path, tag: str) -> None:
    kept, rejects = tmx(tmp_path, f"<tu>{tuv('eng-GB', 'Dog')}{tuv(tag, 'كلب')}</tu>")
    assert [(r["src_lang"], r["tgt_lang"]) for r in kept] == [("en", "ar")]
    assert not rejects


def test_rows_have_the_line_their_unit_begins_at(tmp_path) -> None:
    unit = f"\n<tu>\n{tuv('en', 'Dog')}\n{tuv('ar', 'كلب')}</tu>"
    kept, _ = tmx(tmp_path, unit, unit)
    assert [r["line"] for r in kept] == [2, 6]


# --- codes, text outside of segments, namespaces ------------------------------------------------


@pytest.mark.parametrize(
    ("seg", "text"),
    [
        ('First line<ph x="1" type="lb"/>second line', "First line second line"),
        ("First line<ph/>second line", "First line second line"),
        ("erste<ph>&lt;br/&gt;</ph>zweite", "erste zweite"),
        ("السطر<ph>&lt;BR&gt;</ph>التالي", "السطر التالي"),
        ("第一行<ph>\\n</ph>第二行", "第一行 第二行"),
        ("Name<it pos='begin'>\\tab </it>Wert", "Name Wert"),
        ("Name<ut>{\\tab }</ut>Wert", "Name Wert"),
        ("हिन्दी<x id='1'/>शब्द", "हिन्दी शब्द"),
        ("End.<ph/>Next", "End. Next"),
        ("a <ph>&lt;br/&gt;</ph> b", "a  b"),
        ("<ph>&lt;br/&gt;</ph>start", "start"),
        ("(<ph>%s</ph>)", "()"),
        ("bold<bpt i='1'>&lt;b&gt;</bpt>er<ept i='1'>&lt;/b&gt;</ept>", "bolder"),
        ("cell<ept i='1'>&lt;/td&gt;</ept>cell", "cell cell"),
        ("A <g id='1'>bold <g id='2'>move</g></g>", "A bold move"),
        ("in C<ph>C:\\new</ph>.", "in C."),
        ('See <ph>&lt;img alt="<sub>a car</sub>"&gt;</ph> here', "See  here"),
    ],
)
def test_a_code_that_is_a_break_or_parts_two_words_leaves_a_space(
    tmp_path, seg: str, text: str
) -> None:
    kept, _ = tmx(tmp_path, tu(en=seg, ar="x"))
    assert kept[0]["src"] == text


def test_text_outside_of_segments_is_kept_but_for_notes(tmp_path) -> None:
    direct = '<tuv xml:lang="en"><note>a note</note><prop type="x">p</prop>Dog<ph/>house</tuv>'
    kept, _ = tmx(tmp_path, f"<tu><note>n</note>{direct}{tuv('ar', 'كلب')}</tu>")
    assert kept[0]["src"] == "Dog house"
    two = '<tuv xml:lang="en"><seg>One.</seg><seg>Two.</seg></tuv>'
    kept, _ = tmx(tmp_path, f"<tu>{two}{tuv('ar', 'كلب')}</tu>")
    assert kept[0]["src"] == "One. Two."


@pytest.mark.parametrize("on_error", ["fail", "reject"])
@pytest.mark.parametrize(
    ("root", "prefix"),
    [
        ('<tmx xmlns="http://www.lisa.org/tmx14" version="1.4">', ""),
        ("<tmx version='1.4' creator='a>b'>", ""),
        ('<tmx\n xmlns="http://www.lisa.org/tmx14"\n version="1.4">', ""),
        ('<t:tmx xmlns:t="http://www.lisa.org/tmx14">', "t:"),
    ],
)
def test_a_namespace_makes_no_difference(tmp_path, root, prefix: str, on_error: str) -> None:
    unit = "<P:tu><P:tuv xml:lang='en'><P:seg>Dog<P:ph/>s</P:seg></P:tuv>"
    unit += "<P:tuv lang='ar'><P:seg>كلب</P:seg></P:tuv></P:tu>"
    text = f"{root}<P:body>{unit}</P:body></P:tmx>".replace("P:", prefix)
    (tmp_path / "n.tmx").write_text(text, encoding="utf-8")
    kept, rejects = read(source(tmp_path, "n.tmx", format="tmx", on_error=on_error))
    assert [(r["src"], r["tgt"]) for r in kept] == [("Dog s", "كلب")]
    assert not rejects


# --- encodings ----------------------------------------------------------------------------------

ARABIC = '<?xml version="1.0" encoding="{}"?><tmx><body>' + tu(en="Dog", ar="كلب") + "</body></tmx>"


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("UTF-8", "utf-8-sig"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-be"),
        ("UTF-16", "utf-8"),
        ("UTF-32", "utf-32"),
        ("windows-1256", "cp1256"),
        ("ISO-8859-6", "iso8859-6"),
    ],
)
@pytest.mark.parametrize("on_error", ["fail", "reject"])
def test_a_tmx_in_any_encoding(tmp_path, declared: str, written: str, on_error: str) -> None:
    (tmp_path / "e.tmx").write_bytes(ARABIC.format(declared).encode(written))
    kept, rejects = read(source(tmp_path, "e.tmx", format="tmx", on_error=on_error))
    assert [(r["src"], r["tgt"]) for r in kept] == [("Dog", "كلب")]
    assert not rejects


@pytest.mark.parametrize("encoding", ["shift_jis", "gb18030", "euc-jp"])
def test_a_tmx_in_an_encoding_of_several_bytes_a_character(tmp_path, encoding: str) -> None:
    text = ARABIC.format(encoding).replace("كلب", "日本").replace('"ar"', '"ja"')
    (tmp_path / "e.tmx").write_bytes(text.encode(encoding))
    kept, _ = read(source(tmp_path, "e.tmx", format="tmx", languages=("en", "ja")))
    assert kept[0]["tgt"] == "日本"


@pytest.mark.parametrize("name", ["x-mac-klingon", "", "punycode", "ünknown"])
def test_an_encoding_nobody_knows_is_refused_by_name_and_may_be_given(tmp_path, name: str) -> None:
    (tmp_path / "e.tmx").write_bytes(ARABIC.format(name).encode("cp1256", "replace"))
    with pytest.raises(InputError, match=r"e\.tmx: its XML declaration names the encoding"):
        read(source(tmp_path, "e.tmx", format="tmx"))
    if name.isascii() and name:
        kept, _ = read(source(tmp_path, "e.tmx", format="tmx", encoding="cp1256"))
        assert kept[0]["tgt"] == "كلب"


# --- units that are not well-formed -------------------------------------------------------------

BAD = {
    "invalid token": "Salt & pepper",
    "lesser": "if a < b then",
    "entity": "Page&nbsp;one",
    "control": "Bold \x02text\x02",
    "reference": "Vertical&#11;tab",
    "tag": "<hi>never closed",
    "byte": "Caf\udce9",
}


def damaged(tmp_path, bad: str, **fields) -> tuple[list[dict], list[dict]]:
    good = [tu(en=f"Dog {i}", ar=f"كلب {i}") for i in range(50)]
    units = [*good[:25], f"<tu>\n{tuv('en', bad)}\n{tuv('ar', 'س')}</tu>", *good[25:]]
    head = '<?xml version="1.0"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx><header/><body>\n'
    content = (head + "\n".join(units) + "</body></tmx>").encode(errors="surrogateescape")
    (tmp_path / "d.tmx").write_bytes(content)
    return read(source(tmp_path, "d.tmx", format="tmx", **fields))


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_unit_ends_the_run_with_its_line_or_is_a_reject(tmp_path, bad: str) -> None:
    with pytest.raises(InputError, match=r"TMX \(line 30, column \d+: .*mend .*on_error: reject`"):
        damaged(tmp_path, bad)
    kept, [reject] = damaged(tmp_path, bad, on_error="reject")
    assert [r["src"] for r in kept] == [f"Dog {i}" for i in range(50)]
    assert [r["line"] for r in kept] == [*range(4, 29), *range(32, 57)]
    assert (reject["rule"], reject["line"], reject["value"]) == ("invalid_xml/1", 29, 30)
    assert reject["detail"].startswith("line 30: ")
    assert reject["src"].startswith("<tu>\n<tuv")
    assert "س" in reject["src"]


def test_units_that_do_not_end_and_files_that_do_not_are_rejects(tmp_path) -> None:
    good = tu(en="Dog", ar="كلب")
    for text, lines in (
        (f"<tmx><body>{good}\n<tu><tuv>\n{good}</body></tmx>", [2]),
        (f"<tmx><body>{good}\n{good[:-20]}", [2]),
        (f"<tmx><body>{good}\n{good}\n", [3]),
    ):
        (tmp_path / "d.tmx").write_text(text, encoding="utf-8")
        kept, rejects = read(source(tmp_path, "d.tmx", format="tmx", on_error="reject"))
        assert {r["src"] for r in kept} == {"Dog"}
        assert [r["line"] for r in rejects] == lines


def test_units_in_comments_are_none_whatever_errors_do(tmp_path) -> None:
    unit = tu(en="Dog", ar="كلب")
    text = f"<tmx><!-- {unit} --><body>{unit}<!--\n{unit}\n-->{unit}</body></tmx><!-- {unit} -->"
    (tmp_path / "c.tmx").write_text(text, encoding="utf-8")
    for on_error in ("fail", "reject"):
        kept, rejects = read(source(tmp_path, "c.tmx", format="tmx", on_error=on_error))
        assert [r["line"] for r in kept] == [1, 3]
        assert not rejects


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_blocks_of_any_size_give_the_same_units(tmp_path, monkeypatch, block: int) -> None:
    whole = damaged(tmp_path, "a & b", on_error="reject")
    monkeypatch.setattr(encodings, "_HEAD_BYTES", 1)
    monkeypatch.setattr(archives, "_BLOCK_BYTES", block)
    assert damaged(tmp_path, "a & b", on_error="reject") == whole


@pytest.mark.parametrize("on_error", ["fail", "reject"])
def test_what_looks_like_a_unit_inside_of_one_is_none(tmp_path, on_error: str) -> None:
    seg = "<![CDATA[<tu> & </tu>]]><!-- <tu> </tu> -->"
    kept, rejects = tmx(tmp_path, *[tu(en=seg, ar="x")] * 2, on_error=on_error)
    assert [r["src"] for r in kept] == ["<tu> & </tu>"] * 2
    assert not rejects


@pytest.mark.parametrize("opening", ["<!--", "<![CDATA["])
def test_a_comment_that_does_not_end_spoils_its_unit_only(tmp_path, opening: str) -> None:
    units = [tu(en="Dog", ar="كلب"), tu(en=opening, ar="x"), tu(en="Cat", ar="قطة")]
    kept, rejects = tmx(tmp_path, *units, on_error="reject")
    assert [r["src"] for r in kept] == ["Dog", "Cat"]
    assert [r["line"] for r in rejects] == [2]


def test_entities_are_refused_where_bad_units_are_rejects(tmp_path) -> None:
    head = '<!DOCTYPE tmx [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    with pytest.raises(InputError, match="the XML declares an entity"):
        tmx(tmp_path, tu(en="Dog &x;", ar="كلب"), head=head, on_error="reject")


@pytest.mark.parametrize("on_error", ["fail", "reject"])
def test_a_unit_of_many_megabytes_is_a_reject_and_is_not_held(tmp_path, on_error: str) -> None:
    long = tu(en="x " * (3 << 20), ar="y")
    kept, [reject] = tmx(tmp_path, long, tu(en="Dog", ar="كلب"), on_error=on_error)
    assert [r["src"] for r in kept] == ["Dog"]
    assert len(reject["src"]) <= 4 << 20
