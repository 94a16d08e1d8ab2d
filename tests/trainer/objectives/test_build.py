"""Options of an entry reach its objective, and every objective can be built."""

from dataclasses import replace

import pytest

from bitextile.trainer.objectives.btmlm import Btmlm
from bitextile.trainer.objectives.build import OBJECTIVES, build_objective
from bitextile.trainer.objectives.camlm import Camlm
from bitextile.trainer.objectives.config import (
    OBJECTIVE_SETTINGS,
    AlignMlmSettings,
    BtmlmSettings,
    CamlmSettings,
    DictMlmSettings,
    MlmSettings,
    MocoSettings,
    TlmSettings,
    WeamSettings,
)
from bitextile.trainer.objectives.mlm import Mlm
from bitextile.trainer.objectives.moco import Moco
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.weam import Weam


def test_the_seed_of_the_run_reaches_dictionary_and_sample(datasets, word_tokenizer):
    lexicon = datasets["lexicon"]
    align = AlignMlmSettings(
        objective="align_mlm", dataset="", lexicon=lexicon, lexicon_fraction=0.5, sample=3
    )
    one, two = (build_objective(align, word_tokenizer, max_length=24, seed=s) for s in (1, 2))
    # Half of the dictionary, another half for another seed.
    assert one.entries.words != two.entries.words
    assert (one.seed, two.seed, one.sample, one.alpha) == (1, 2, 3, 10.0)
    other = DictMlmSettings(
        objective="dict_mlm", dataset="", lexicon=lexicon, lexicon_fraction=0.5, rate=0.25
    )
    a, b = (build_objective(other, word_tokenizer, max_length=24, seed=s) for s in (1, 2))
    assert a.entries.rows.keys() != b.entries.rows.keys()
    assert replace(a, entries=b.entries) == b
    assert (a.rate, a.variant, a.max_length) == (0.25, "predict_synonym", 24)


def test_every_entry_that_a_configuration_may_have_has_an_objective_of_its_name():
    assert list(OBJECTIVES) == list(OBJECTIVE_SETTINGS.values())
    assert [objective.name for objective in OBJECTIVES.values()] == list(OBJECTIVE_SETTINGS)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (MlmSettings(objective="mlm", dataset=""), Mlm(24)),
        (TlmSettings(objective="tlm", dataset=""), Tlm(24, seed=7)),
        (BtmlmSettings(objective="btmlm", dataset=""), Btmlm(24)),
        (WeamSettings(objective="weam", dataset=""), Weam(24)),
        (
            WeamSettings(objective="weam", dataset="", exchange_layer=True),
            Weam(24, exchange_layer=True),
        ),
        (
            WeamSettings(objective="weam", dataset="", first_subword_only=True),
            Weam(24, first_subword_only=True),
        ),
        (
            WeamSettings(objective="weam", dataset="", one_to_one_only=True),
            Weam(24, one_to_one_only=True),
        ),
        (
            TlmSettings(objective="tlm", dataset="", random_pair_order=True),
            Tlm(24, random_pair_order=True, seed=7),
        ),
        (
            CamlmSettings(objective="camlm", dataset="", mask_rate=0.5, random_pair_order=False),
            Camlm(24, mask_rate=0.5, random_pair_order=False, seed=7),
        ),
        (
            MocoSettings(
                objective="moco", dataset="", queue=8, momentum=0.5, temperature=0.1,
                projection=4, tlm=False,
            ),
            Moco(24, queue=8, momentum=0.5, temperature=0.1, projection=4, tlm=False, seed=7),
        ),
    ],
)  # fmt: skip
def test_options_reach_the_objective(settings, expected, word_tokenizer):
    assert build_objective(settings, word_tokenizer, max_length=24, seed=7) == expected


def test_defaults_of_options_are_those_of_the_objective(datasets, word_tokenizer):
    lexicon = {"dataset": "", "lexicon": datasets["lexicon"]}
    for settings in (
        CamlmSettings(objective="camlm", dataset=""),
        MocoSettings(objective="moco", dataset=""),
        AlignMlmSettings(objective="align_mlm", **lexicon),
        DictMlmSettings(objective="dict_mlm", **lexicon),
    ):
        built = build_objective(settings, word_tokenizer, max_length=24, seed=0)
        given = {"entries": built.entries} if hasattr(built, "entries") else {}
        assert built == type(built)(24, **given)


def test_options_of_a_dictionary_reach_the_objective(datasets, word_tokenizer):
    lexicon = {"dataset": "", "lexicon": datasets["lexicon"]}
    align = AlignMlmSettings(objective="align_mlm", **lexicon, alpha=3, sample=5)
    built = build_objective(align, word_tokenizer, max_length=24, seed=7)
    assert (built.alpha, built.sample, built.seed) == (3.0, 5, 7)
    dictionary = DictMlmSettings(objective="dict_mlm", **lexicon, variant="from_synonym", rate=0.2)
    built = build_objective(dictionary, word_tokenizer, max_length=24, seed=7)
    assert (built.variant, built.rate) == ("from_synonym", 0.2)
