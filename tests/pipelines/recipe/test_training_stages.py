"""Stages of `pretrain` in a recipe: what they mean, what is refused before anything runs."""

from pathlib import Path

import pytest

from bitextile.pipelines.recipe.models import (
    CamlmConfig,
    Ctranslate2Config,
    Seq2seqConfig,
    engine_of,
)
from bitextile.pipelines.recipe.recipe import Recipe, parse
from bitextile.pipelines.recipe.training_stages import (
    stage_config,
    stages_before_backtranslation,
    training_stages,
)
from bitextile.pipelines.run import run
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.errors import ConfigError

ROUND = {
    "bitext": [
        {"corpus": "toy", "languages": ["en", "de"], "files": ["toy.tsv"]},
        {"corpus": "toy", "languages": ["en", "fr"], "files": ["toy.tsv"]},
    ],
    "mono": [{"corpus": "m", "language": "en", "files": ["mono.txt"]}],
    "pretrain": [
        {
            "steps": 20,
            "language_embeddings": True,
            "model": {"preset": "mini"},
            "objectives": {"mlm": 1, "tlm": 1, "camlm": 2},
        },
        {"steps": 10, "objectives": {"camlm": 1, "btmlm": {"weight": 3}}},
    ],
    "backtranslate": {"to": {"de": 2, "fr": 1}},
}


def recipe(**changed: object) -> Recipe:
    content = {name: part for name, part in (ROUND | changed).items() if part != "absent"}
    return parse(Recipe, content, "r.yaml")


def stages(*changes: dict[str, object]) -> list[dict[str, object]]:
    """Returns the two stages of ROUND, each with changes; None takes a setting away."""
    changed = [stage | change for stage, change in zip(ROUND["pretrain"], changes, strict=True)]
    return [{k: v for k, v in stage.items() if v is not None} for stage in changed]


def test_a_stage_goes_on_as_the_one_before_it(tmp_path: Path) -> None:
    written = recipe()
    first, second = (
        stage_config(s, written, tmp_path, str(tmp_path)) for s in training_stages(written)
    )
    assert (first.model.preset, first.seed, first.steps) == ("mini", 0, 20)
    assert second.model.checkpoint == str(tmp_path / "model")
    assert (second.seed, second.steps, second.language_embeddings) == (1, 10, True)
    assert [(Path(d.dataset).name, d.weight) for d in first.data] == [
        ("mono", 1),
        ("aligned", 1),
        ("aligned", 2),
    ]
    assert [(d.objective, Path(d.dataset).name, d.weight) for d in second.data] == [
        ("camlm", "aligned", 1),
        ("btmlm", "pseudo", 3),
    ]


def test_one_stage_stands_without_a_list_and_none_is_none() -> None:
    one = recipe(pretrain={"steps": 5}, backtranslate="absent")
    assert [(s.folder, s.name, s.settings) for s in training_stages(one)] == [
        ("model", "pretrain", {"steps": 5})
    ]
    assert training_stages(recipe(pretrain=None)) == ()
    three = training_stages(recipe(pretrain=[{"steps": 5, "seed": 7}, {}, {"seed": 2, "steps": 1}]))
    assert [(s.folder, s.settings["steps"], s.settings["seed"]) for s in three] == [
        ("model", 5, 7),
        ("model-2", 5, 8),
        ("model-3", 1, 2),
    ]


@pytest.mark.parametrize(
    ("names", "before"),
    [(["camlm", "btmlm"], 1), (["camlm", "tlm", "btmlm"], 2), (["camlm"], 1), (["btmlm"], 0)],
)
def test_pseudo_translations_are_written_before_they_are_learned_from(names, before) -> None:
    asked = [{"steps": 1, "objectives": {name: 1}} for name in names]
    assert stages_before_backtranslation(training_stages(recipe(pretrain=asked))) == before


def test_languages_are_named_as_on_the_command_line() -> None:
    for to in ("de:2,fr", {"fr": 1, "de": 2}):
        part = recipe(backtranslate={"to": to, "mask_predict_passes": 1}).backtranslate
        assert part.to == {"de": 2.0, "fr": 1.0}
        assert engine_of(part) == CamlmConfig(mask_predict_passes=1)
    for engine, config in (("seq2seq", Seq2seqConfig), ("ctranslate2", Ctranslate2Config)):
        asked = {
            "engine": engine,
            "model": "m",
            "to": "de",
            "language_codes": {"DE": "deu_Latn"},
            "beam_size": 2,
        }
        part = recipe(backtranslate=asked).backtranslate
        assert engine_of(part) == config(beam_size=2, language_codes={"de": "deu_Latn"})


HELD_OUT = [{"corpus": "m", "language": "en", "files": ["mono.txt"], "split": "test"}]
GERMAN = [{"corpus": "m", "language": "de", "files": ["mono.txt"]}]
REFUSED = {
    "btmlm without backtranslate": (
        {"backtranslate": "absent"},
        "the recipe makes none; add `backtranslate",
    ),
    "no mono": ({"mono": "absent"}, "the recipe names no `mono`"),
    "mono held out": ({"mono": HELD_OUT}, "names no `mono`, but for held-out ones"),
    "no camlm before": (
        {"pretrain": stages({"objectives": {"tlm": 1}}, {})},
        "stage 1 of `pretrain`, which has no camlm",
    ),
    "no language embeddings": (
        {"pretrain": stages({"language_embeddings": None}, {})},
        "add `language_embeddings: true`",
    ),
    "btmlm in the first stage": (
        {"pretrain": stages({"objectives": {"btmlm": 1}}, {})},
        "there is no model yet",
    ),
    "backtranslate without any model": ({"pretrain": None}, "`backtranslate` has no model"),
    "a language of no pair": (
        {"backtranslate": {"to": "sw"}},
        "to sw, but no `bitext` has it; there is de, en, fr",
    ),
    "its own language alone": ({"backtranslate": {"to": "en"}}, "`to` names no other language"),
    "languages without pairs": (
        {"mono": GERMAN},
        "in de may be translated into fr, but no `bitext` has both",
    ),
    "a second model": (
        {"pretrain": stages({}, {"model": {"preset": "mini"}})},
        "stage 2 of `pretrain` names a model",
    ),
    "a stage without steps": (
        {"pretrain": stages({"steps": None}, {"steps": None})},
        "`pretrain`, stage 1: steps is missing",
    ),
    "an unknown setting": (
        {"pretrain": stages({}, {"step": 1})},
        "`pretrain`, stage 2: unknown key 'step' (did you mean 'steps'?)",
    ),
    "an unknown objective": (
        {"pretrain": stages({}, {"objectives": {"btml": 1}})},
        "unknown key 'objectives.btml' (did you mean 'btmlm'?)",
    ),
    "an unknown key": (
        {"backtranslate": {"to": "de", "topk": 2}},
        "unknown key 'backtranslate.topk' (did you mean 'top_k'?)",
    ),
    "an option of another engine": (
        {"backtranslate": {"to": "de", "beam_size": 2}},
        "backtranslate: beam_size is an option of seq2seq and ctranslate2, not of camlm",
    ),
    "an unknown engine": (
        {"backtranslate": {"to": "de", "engine": "magic"}},
        "backtranslate.engine is 'magic', expected one of camlm, seq2seq, ctranslate2",
    ),
    "no target": ({"backtranslate": {}}, "backtranslate.to is missing"),
    "a weight of nothing": ({"backtranslate": {"to": {"de": 0}}}, "'de:0': expected LANG"),
    "an option out of bounds": (
        {"backtranslate": {"to": "de", "mask_predict_passes": -1}},
        "mask_predict_passes -1",
    ),
    "scripts": (
        {"backtranslate": {"to": "de", "translation_filter": {"scripts": {"de": ["LATIN"]}}}},
        "scripts are found in the text",
    ),
    "a ratio of one language": (
        {"backtranslate": {"to": "de", "length_ratios": {"de": 1.1}}},
        "expected SRC,TGT",
    ),
    "seq2seq without a folder": (
        {"backtranslate": {"to": "de", "engine": "seq2seq"}},
        "name the folder of the `model`",
    ),
    "ctranslate2 without a folder": (
        {"backtranslate": {"to": "de", "engine": "ctranslate2"}},
        "by ctranslate2: name the folder of the `model`",
    ),
    "no such model": (
        {"backtranslate": {"to": "de", "engine": "seq2seq", "model": "opus"}},
        "opus: no model there",
    ),
    "candidates without a model": (
        {"pretrain": None, "backtranslate": "absent", "candidates": {"languages": ["de"]}},
        "`candidates` has no model",
    ),
    "candidates of no text": ({"candidates": {"languages": ["ja"]}}, "no text of ja"),
    "candidates of the same language": (
        {"candidates": {"languages": ["en"]}},
        "sentences in en; name another language",
    ),
    "no candidates to switch by": ({"codeswitch": {"method": "candidates"}}, "no candidates; add"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_before_anything_runs(tmp_path: Path, case: str) -> None:
    changed, sentence = REFUSED[case]
    out = tmp_path / "out"

    def started(news: object) -> None:
        pytest.fail(f"{news} began")

    with pytest.raises(ConfigError) as error:
        run(recipe(**changed), tmp_path, str(out), options=RunOptions(), progress=started)
    assert sentence in str(error.value)
    assert not out.exists()


def test_a_checkpoint_from_elsewhere_may_write_in_the_first_stage(tmp_path, world) -> None:
    # It is looked at beforehand: languages it has no embedding for, or no CAMLM.
    bitext = [{"corpus": "toy", "languages": ["en", "sw"], "files": ["toy.tsv"]}]
    asked = {"model": world.model, "to": "sw"}
    with pytest.raises(ConfigError, match="no embedding for sw"):
        run(
            recipe(pretrain={"steps": 1}, bitext=bitext, backtranslate=asked),
            tmp_path,
            str(tmp_path / "out"),
            options=RunOptions(),
            progress=pytest.fail,
        )
