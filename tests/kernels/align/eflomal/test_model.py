"""Priors: chosen by words, saved, refused when damaged."""

import json

import pytest

from bitextile.kernels.align.eflomal.config import EflomalOptions
from bitextile.kernels.align.eflomal.links import make_model, run_eflomal
from bitextile.kernels.align.eflomal.model import PRIORS, EflomalModel, parse_priors
from bitextile.kernels.align.hmm.fit import fit
from bitextile.kernels.align.hmm.model import HmmModel
from bitextile.schema.errors import BitextileError, DatasetError


def test_the_words_of_a_batch_choose_the_priors_that_go_along(run, fake, tmp_path) -> None:
    trained = run_eflomal(run.column("a b c"), run.column("x y z"), options=fake)
    model = make_model(trained, options=fake)
    kinds = model.priors["kind"].to_pylist()
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "LEX": 3,
        "FERF": 3,
        "FERR": 3,
        "HMMF": 1,
        "HMMR": 1,
    }
    # The fake refuses priors of words that are not there, and follows those that are.
    src, tgt = run.column("q C A"), run.column("X Z")
    assert run.points(run.links(src, tgt, fake, symmetrize="intersect")) == [[(0, 0), (1, 1)]]
    applied = run.links(src, tgt, fake, model=model, symmetrize="intersect")
    assert run.points(applied) == [[(1, 1)]]
    assert model.save(tmp_path / "m") == model.digest
    again = EflomalModel.load(tmp_path / "m")
    assert again.digest == model.digest
    assert again.priors.equals(model.priors)
    assert again.options == fake


def test_a_damaged_or_foreign_model_is_refused(run, fake, tmp_path) -> None:
    output = run_eflomal(run.column("a"), run.column("x"), options=fake)
    model = make_model(output, options=fake)
    model.save(tmp_path / "m")
    head = json.loads((tmp_path / "m/model.json").read_text())
    (tmp_path / "m/model.json").write_text(json.dumps(head | {"statistics": {"pairs": 2}}))
    with pytest.raises(DatasetError, match="content is sha256"):
        EflomalModel.load(tmp_path / "m")
    with pytest.raises(DatasetError, match="not a complete model"):
        EflomalModel.load(tmp_path)
    fit(run.column("a"), run.column("x"), n_threads=1).save(tmp_path / "ours")
    with pytest.raises(DatasetError, match="which --aligner fitted it"):
        EflomalModel.load(tmp_path / "ours")
    model.save(tmp_path / "m")
    with pytest.raises(DatasetError, match="bitextile-eflomal/1"):
        HmmModel.load(tmp_path / "m")


def test_lines_of_a_priors_file_are_read_and_written_the_same() -> None:
    lines = ["LEX\tdas\tthe\t3.0", "FERF\tdas\t1\t2", "FERR\tthe\t0\t1", "HMMF\t-2\t1.5"]
    model = EflomalModel(options=EflomalOptions(), priors=parse_priors(lines), statistics={})
    assert model.priors_of(["das"], ["the"]).splitlines() == lines
    assert model.priors_of(["der"], ["the"]).splitlines() == lines[2:]
    assert model.priors_of([], []).splitlines() == lines[3:]
    assert parse_priors([]).schema == PRIORS
    with pytest.raises(BitextileError, match="expected eflomal 2's priors"):
        parse_priors(["LEX\tdas"])
