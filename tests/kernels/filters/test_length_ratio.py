"""The rule `length_ratio`: smoothed, fair to unspaced scripts, exact at its limit."""

import pytest

from bitextile.kernels.filters.length_ratio import LENGTH_RATIO, LengthRatioOptions
from bitextile.kernels.filters.rule import apply_rules
from corpus_rows import pair_rows


def test_translations_in_unspaced_scripts_pass_the_length_ratio() -> None:
    sides = [
        (
            "我们明天早上和老师一起坐公共汽车去学校。",
            "We go to school by bus with our teacher tomorrow morning.",
        ),
        (
            "私たちは明日の朝、先生と一緒にバスで学校に行きます。",
            "We go to school by bus tomorrow morning.",
        ),
        ("พรุ่งนี้เช้าเราจะไปโรงเรียนโดยรถบัสกับครู", "We go to school by bus tomorrow morning."),
    ]
    kept, rejects = apply_rules(
        pair_rows(sides), [LENGTH_RATIO], config=LengthRatioOptions(length_smoothing=0.0)
    )
    assert (kept.num_rows, rejects.num_rows) == (3, 0)


@pytest.mark.parametrize(
    ("lang", "texts"),
    [
        ("km", ("ខ្ញុំទៅសាលារៀនជាមួយមិត្តភក្តិរបស់ខ្ញុំរាល់ព្រឹកដោយជិះកង់។", "សូមអរគុណ។")),
        ("km", ("ខ្ញុំ\u200bទៅ\u200bសាលារៀន\u200bជាមួយ\u200bមិត្តភក្តិ\u200bរាល់\u200bព្រឹក។", "អរគុណ។")),
        ("my", ("ကျွန်တော်သည်မနက်တိုင်းသူငယ်ချင်းများနှင့်အတူကျောင်းသို့သွားသည်။", "ကျေးဇူးတင်ပါတယ်။")),
        ("lo", ("ຂ້ອຍໄປໂຮງຮຽນກັບໝູ່ຂອງຂ້ອຍທຸກໆເຊົ້າດ້ວຍລົດຖີບ.", "ຂອບໃຈ.")),
        ("bo", ("ང་ཞོགས་པ་ལྟར་གྲོགས་པོ་དང་མཉམ་དུ་རྐང་འཁོར་བཞོན་ནས་སློབ་གྲྭར་འགྲོ་གི་ཡོད།", "ཐུགས་རྗེ་ཆེ།")),
        ("jv", ("ꦲꦏꦸꦩꦁꦏꦠ꧀ꦱꦼꦏꦺꦴꦭꦃꦏꦫꦺꦴꦏꦚ꧀ꦕꦏꦸꦱꦧꦼꦤ꧀ꦲꦺꦱꦸꦏ꧀ꦤꦸꦩ꧀ꦥꦏ꧀ꦱꦼꦥꦺꦣꦃ", "ꦩꦠꦸꦂꦤꦸꦮꦸꦤ꧀")),
        ("th", ("ฉันไปโรงเรียนกับเพื่อนของฉันทุกเช้าด้วยจักรยาน", "ขอบคุณ")),
    ],
)
def test_scripts_without_spaces_have_a_unit_of_length(lang: str, texts: tuple[str, str]) -> None:
    english = ("I go to school with my friends every morning by bicycle.", "Thank you.")
    config = LengthRatioOptions(max_length_ratio=2.0, length_smoothing=1.0)
    kept, _ = apply_rules(pair_rows(list(zip(english, texts))), [LENGTH_RATIO], config=config)
    assert kept.num_rows == 2
    # What is much too long for its translation is still found.
    wrong, _ = apply_rules(
        pair_rows([(english[1], texts[0] * 2)]), [LENGTH_RATIO], config=LengthRatioOptions()
    )
    assert wrong.num_rows == 0


@pytest.mark.parametrize(("n", "kept"), [(8, 1), (9, 0)])
def test_a_ratio_at_the_limit_is_kept(n: int, kept: int) -> None:
    config = LengthRatioOptions(max_length_ratio=5.0, length_smoothing=1.0)
    out = apply_rules(pair_rows([("a", "b " * n + "b")]), [LENGTH_RATIO], config=config)
    assert out.kept.num_rows == kept
    assert out.rejects["value"].to_pylist() == ([] if kept else [(n + 2) / 2])


def test_a_side_of_less_than_a_word_counts_as_it_is() -> None:
    config = LengthRatioOptions(max_length_ratio=2.9, length_smoothing=0.0)
    out = apply_rules(pair_rows([("犬", "the dog")]), [LENGTH_RATIO], config=config)
    assert out.rejects["value"].to_pylist() == pytest.approx([2 / (1 / 1.5)])
