"""eflomal as an Aligner: the links of training, and priors made when they are first needed."""

from pathlib import Path

from bitextile.kernels.align.eflomal.aligner import EflomalAligner
from bitextile.kernels.align.eflomal.config import EflomalConfig
from bitextile.kernels.align.engine import Runtime


def test_fitting_yields_links_and_priors_only_on_demand(run, fake, tmp_path) -> None:
    said: list[str] = []
    config = EflomalConfig(bin_dir=fake.bin_dir, symmetrize="intersect")
    runtime = Runtime(progress=said.append)
    src, tgt = run.column("a b c", "w " * 300), run.column("x y z", "v " * 300)
    aligner = EflomalAligner.fit(src, tgt, config=config, runtime=runtime)
    trained = aligner.training_alignment()
    assert run.points(trained)[0] == [(0, 0), (1, 1), (2, 2)]
    assert said == [
        "eflomal: 2 pairs; it shows no progress of its own",
        "eflomal: 1 pairs too long for it were cut into windows",
    ]
    assert aligner.digest == ""
    digest = aligner.save(str(tmp_path / "m"))
    assert Path(tmp_path, "m/priors.arrow").exists()
    assert aligner.digest == digest != ""
    again = EflomalAligner.load(str(tmp_path / "m"), config=config, runtime=runtime)
    assert again.training_alignment() is None
    assert again.digest == digest
    few = run.column("c a"), run.column("x z")
    assert again.align(*few).links.equals(aligner.align(*few).links)


def test_priors_are_made_for_the_first_batch_that_is_aligned(run, fake) -> None:
    config = EflomalConfig(bin_dir=fake.bin_dir, symmetrize="union")
    aligner = EflomalAligner.fit(
        run.column("a b"), run.column("x y"), config=config, runtime=Runtime(n_threads=1)
    )
    assert run.points(aligner.align(run.column("b a"), run.column("x q"))) == [
        [(0, 0), (1, 0), (1, 1)]
    ]
    assert aligner.digest.startswith("sha256:")
