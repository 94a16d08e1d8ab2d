"""Words: right in ten scripts, whole graphemes, every character in one word, in order."""

import itertools

import pyarrow as pa
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.text import segment as module
from bitextile.kernels.text.fixed import FIXED
from bitextile.kernels.text.normalise import normalise_text
from bitextile.kernels.text.private_script import transliterate_text
from bitextile.kernels.text.segment import cut_words, segment, segmenter_for
from bitextile.schema.errors import ConfigError

LANGUAGES = ["en", "fr", "ar", "hi", "zh", "ja", "th", "ko"]
ODD = "a1.,'’_-\u200d\u200c\u0301\u3099\ufe0f\u20e3\U000e0100👩🏽🚒🇩"
ODD += "אבكِक्षि한犬学ひらカーกิแລာខ\u0378 \u00a0"
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(ODD), max_size=16)


def words(text: str, lang: str, choice: str = "auto") -> list[str]:
    texts = pa.array([text], pa.string())
    return cut_words(texts, segment(texts, lang, segmenter=choice))[0].as_py()


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "I don't know, 3.5 (or 4)...", "I|don't|know|,|3.5|(|or|4|)|..."),
        ("de", "Der Hund, »Waldi«, läuft.", "Der|Hund|,|»|Waldi|«|,|läuft|."),
        ("fr", "L'été d’Aix, aujourd'hui !", "L'|été|d’|Aix|,|aujourd'|hui|!"),
        ("it", "Dov'è l'acqua?", "Dov'|è|l'|acqua|?"),
        ("sw", "Ng'ombe anakula nyasi.", "Ng'ombe|anakula|nyasi|."),
        ("cs", "Pes běží!", "Pes|běží|!"),
        ("ru", "Собака бежит, а кот — нет.", "Собака|бежит|,|а|кот|—|нет|."),
        ("el", "Ο σκύλος τρέχει;", "Ο|σκύλος|τρέχει|;"),
        ("ar", "هل تعرف؟ لا، شكرًا.", "هل|تعرف|؟|لا|،|شكرًا|."),
        ("fa", "نمی\u200cخواهم بروم.", "نمی\u200cخواهم|بروم|."),
        ("he", 'צה"ל הודיע.', 'צה"ל|הודיע|.'),
        ("he", "צה״ל, ג׳ירפה וג'ורג' אמר", "צה״ל|,|ג׳ירפה|וג'ורג'|אמר"),
        ("ca", "L'il·lús col·legi · fi", "L'|il·lús|col·legi|·|fi"),
        ("uk", "п’ять об'єктів, п\u02bcять", "п’ять|об'єктів|,|п\u02bcять"),
        ("uz", "O‘zbekiston tog‘ bo‘sh maʼno.", "O‘zbekiston|tog‘|bo‘sh|maʼno|."),
        ("fi", "EU:n USA:ssa 1990:n klo 10:30: ei", "EU:n|USA:ssa|1990:n|klo|10:30|:|ei"),
        ("sv", "S:t Eriks tv:n, nämligen: nu", "S:t|Eriks|tv:n|,|nämligen|:|nu"),
        ("en", "EU:n 10:30 a: b", "EU|:|n|10:30|a|:|b"),
        ("hy", "պետք՟է", "պետք՟է"),
        ("haw", "Hawai‘i ‘o ia", "Hawai‘i|‘|o|ia"),
        ("en", "🇩🇪🇫🇷 👨\u200d👩\u200d👧", "🇩🇪|🇫🇷|👨\u200d👩\u200d👧"),
        ("hi", "कुत्ता दौड़ता है।", "कुत्ता|दौड़ता|है|।"),
        ("ta", "நாய் ஓடுகிறது.", "நாய்|ஓடுகிறது|."),
        ("ko", "개가 뛴다.", "개가|뛴다|."),
        ("ka", "ძაღლი დარბის.", "ძაღლი|დარბის|."),
        ("am", "ውሻው ይሮጣል።", "ውሻው|ይሮጣል|።"),
        ("en", "٣٫٥ 1,234.5 10:30 e\u0301te\u0301", "٣٫٥|1,234.5|10:30|e\u0301te\u0301"),
        ("en", "👩🏽\u200d🚒❤️ 1️⃣", "👩🏽\u200d🚒|❤️|1️⃣"),
        ("en", "snake_case I犬you", "snake_case|I|犬|you"),
        ("en", "\ue001\ue002x \ue003\u0301.", "\ue001\ue002x|\ue003\u0301|."),
    ],
)
def test_spaced_scripts_by_one_rule(lang: str, text: str, expected: str) -> None:
    assert words(text, lang) == expected.split("|")
    assert segmenter_for(lang).name == "unicode"


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("zh", "我们明天去学校。", "我|们|明|天|去|学|校|。"),
        ("ja", "私はカレーを食べた。", "私|は|カ|レ|ー|を|食|べ|た|。"),
        ("th", "แมวกินปลา", "แ|ม|ว|กิ|น|ป|ล|า"),
        ("zh", "iPhone 17很贵！！", "iPhone|17|很|贵|！！"),
        ("ja", "葛\U000e0100城はか\u309a", "葛\U000e0100|城|は|か\u309a"),
    ],
)
def test_unspaced_scripts_by_character_where_no_dictionary_is(
    lang: str, text: str, expected: str
) -> None:
    assert words(text, lang, "characters") == expected.split("|")
    assert segmenter_for(lang, "characters").name == "characters"


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("km", "កុមារ\u200bញ៉ាំ\u200bបាយ\u200bនៅ\u200bផ្ទះ។", "កុមារ|ញ៉ាំ|បាយ|នៅ|ផ្ទះ|។"),
        ("my", "ကလေး\u200bသည် ထမင်း\u200bစားသည်။", "ကလေး|သည်|ထမင်း|စားသည်|။"),
        ("lo", "ໝາ\u200bແລ່ນ", "ໝາ|ແລ່ນ"),
    ],
)
def test_a_zero_width_space_is_a_boundary_of_words(lang: str, text: str, expected: str) -> None:
    assert normalise_text(pa.array([text])).to_pylist() == [text]
    assert words(text, lang) == expected.split("|")


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("km", "ផ្ទះ ឆ្កែ", "ផ្ទះ|ឆ្កែ"),
        ("my", "သတ္တဝါ", "သ|တ္တ|ဝါ"),
        ("th", "น้ำ", "น้ำ"),
        ("lo", "ນ້ຳ", "ນ້ຳ"),
        ("hi", "क्षत्रिय", "क्षत्रिय"),
        ("jv", "ꦱꦼꦥ꧀ꦠꦼꦩ꧀ꦧꦼꦂ", "ꦱꦼꦥ꧀ꦠꦼꦩ꧀ꦧꦼꦂ"),
    ],
)
def test_no_word_ends_before_what_belongs_to_its_last_letter(
    lang: str, text: str, expected: str
) -> None:
    assert words(text, lang, "characters") == expected.split("|")


@settings(max_examples=300)
@given(
    st.text("កខ្ិ\u200bတ္ါ်ນຳ้กำa🇩🇫\u200d👩e\u0301ᄀ각\u0600 .ꦥ꧀", max_size=12),
    st.sampled_from(["km", "my", "th", "lo", "en", "fr", "ko", "zh"]),
    st.sampled_from(["auto", "characters"]),
)
def test_no_word_ends_inside_a_grapheme_cluster(text: str, lang: str, choice: str) -> None:
    spans = segment(pa.array([text]), lang, segmenter=choice)[0].as_py()
    ends = {s["end"] for s in spans} & {s["start"] for s in spans}
    clusters = list(itertools.accumulate(map(len, regex.findall(r"\X", text))))
    assert ends <= set(clusters)
    assert not any(text[end - 1] in "\u17d2\u1039\ua9c0" and text[end].isalpha() for end in ends)


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "See https://a.example.org/b?c=d, now", "See|https://a.example.org/b?c=d|,|now"),
        ("de", "Mail an rotes.haus@wasser.example.de.", "Mail|an|rotes.haus@wasser.example.de|."),
        ("fr", "L'ami %(nom)s a {{n}} {x}%s", "L'|ami|%(nom)s|a|{{n}}|{x}|%s"),
        ("ru", "Нажмите <b>сюда</b>.", "Нажмите|<b>|сюда|</b>|."),
        ("ar", "زوروا www.example.com اليوم", "زوروا|www.example.com|اليوم"),
    ],
)
def test_what_is_fixed_is_one_word(lang: str, text: str, expected: str) -> None:
    assert words(text, lang) == expected.split("|")


@pytest.mark.parametrize("lang", ["lo", "km", "my"])
def test_scripts_without_a_dictionary_go_by_character_and_keep_their_marks(lang: str) -> None:
    text = {"lo": "ໝາແລ່ນ", "km": "ឆ្កែរត់", "my": "ခွေးပြေး"}[lang]
    found = words(text, lang)
    assert "".join(found) == text
    assert len(found) > 1
    assert not any(regex.match(r"\p{M}", word) for word in found)


@pytest.mark.parametrize(
    ("lang", "package", "text", "expected"),
    [
        ("zh", "jieba", "我们明天去学校，iPhone 17。", "我们|明天|去|学校|，|iPhone|17|。"),
        ("cmn", "jieba", "我们去学校", "我们|去|学校"),
        ("zh-Hans", "jieba", "学校", "学校"),
        ("ja", "sudachipy", "私は学生です。OK？", "私|は|学生|です|。|OK|？"),
        ("th", "pythainlp", "แมวกินปลา 2 ตัว", "แมว|กิน|ปลา|2|ตัว"),
    ],
)
def test_dictionary_segmenters_say_their_name_and_version(lang, package, text, expected) -> None:
    version = pytest.importorskip(package) and segmenter_for(lang, "dictionary").name
    assert regex.fullmatch(rf"(?i){package} \d+\.\d.*", version)
    assert words(text, lang) == expected.split("|")


def test_a_missing_package_falls_back_and_says_so_or_is_insisted_on(monkeypatch) -> None:
    def missing(name: str) -> str:
        raise module.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(module.importlib.metadata, "version", missing)
    uncached = segmenter_for.__wrapped__
    assert uncached("zh").name == "characters"
    assert uncached("de").name == "unicode"
    with pytest.raises(
        ConfigError, match=r"language th: no pythainlp.*pip install 'bitextile\[th\]'"
    ):
        uncached("th", "dictionary")


@pytest.mark.parametrize("lang", ["zh", "ja", "th"])
def test_a_run_longer_than_a_dictionary_takes_is_cut_all_the_same(lang: str) -> None:
    text = {"zh": "学校", "ja": "学生です", "th": "แมวกินปลา"}[lang] * 700
    assert "".join(words(text, lang)) == text


@settings(max_examples=400)
@given(TEXT, st.sampled_from(LANGUAGES), st.sampled_from(["auto", "characters"]))
def test_every_character_is_in_one_word_and_words_are_in_order(
    text: str, lang: str, choice
) -> None:
    text = normalise_text(pa.array([text]))[0].as_py()
    spans = [
        (s["start"], s["end"]) for s in segment(pa.array([text]), lang, segmenter=choice)[0].as_py()
    ]
    assert all(0 <= s < e <= len(text) for s, e in spans)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    covered = {i for s, e in spans for i in range(s, e)}
    fixed = {i for match in FIXED.finditer(text) for i in range(*match.span())}
    assert {i for i, c in enumerate(text) if i not in covered} == {
        i for i, c in enumerate(text) if c in " \u200b" and i not in fixed
    }


@settings(max_examples=400)
@given(TEXT, st.sampled_from(LANGUAGES), st.sampled_from(["auto", "characters"]))
def test_no_word_begins_inside_a_grapheme(text: str, lang: str, choice) -> None:
    starts = [s["start"] for s in segment(pa.array([text]), lang, segmenter=choice)[0].as_py()]
    torn = [s for s in starts if s and regex.match(r"\p{M}", text[s]) and not text[s - 1].isspace()]
    assert not torn


@given(st.lists(TEXT, max_size=5), st.sampled_from(LANGUAGES), st.integers(0, 5))
def test_a_sentence_is_cut_by_itself(texts: list[str], lang: str, cut: int) -> None:
    array = pa.array(texts, pa.string())
    whole = segment(array, lang)
    parts = (
        segment(array.slice(0, cut), lang).to_pylist() + segment(array.slice(cut), lang).to_pylist()
    )
    assert parts == whole.to_pylist()
    assert [
        [t[s["start"] : s["end"]] for s in row] for t, row in zip(texts, whole.to_pylist())
    ] == (cut_words(array, whole).to_pylist())


def test_a_derived_script_is_cut_as_its_first_one() -> None:
    for lang, text in (
        ("fr", "L'été, 3,5 m..."),
        ("ja", "私はカレーを食べた。"),
        ("ar", "لا أعرف."),
    ):
        texts = pa.array([text, transliterate_text(text)])
        assert segment(texts, lang)[0] == segment(texts, lang)[1]


def test_words_of_a_slice_are_the_slices() -> None:
    texts = pa.array(["eins zwei", "犬", "", "שלום עולם"])
    spans = segment(texts, "de")
    assert cut_words(texts.slice(1), spans.slice(1)).to_pylist() == [["犬"], [], ["שלום", "עולם"]]


def test_the_type_is_that_of_the_contract() -> None:
    from bitextile.schema.kinds import SPANS

    assert segment(pa.array([], pa.string()), "en").type == SPANS
    assert segment(pa.array(["", "a"]), "en").type == SPANS
