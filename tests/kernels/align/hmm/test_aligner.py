"""The HMMs as an Aligner: what the functions give, by way of the protocol."""

from bitextile.kernels.align.engine import Runtime
from bitextile.kernels.align.hmm.aligner import HmmAligner
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.align.hmm.decode import align_pairs


def test_fitting_saving_and_aligning_are_those_of_the_functions(corpus, model, tmp_path) -> None:
    said: list[str] = []
    config = HmmConfig(symmetrize="union", threshold=0.1)
    runtime = Runtime(n_threads=1, progress=said.append)
    aligner = HmmAligner.fit(*corpus, config=config, runtime=runtime)
    assert aligner.digest == model.digest
    assert aligner.save(str(tmp_path)) == model.digest
    assert [line.split(":")[0] for line in said] == [
        "IBM model 1 1/2",
        "IBM model 1 2/2",
        "IBM model 1",
        "hmm 1/2",
        "hmm 2/2",
    ]
    assert aligner.training_alignment() is None
    again = HmmAligner.load(str(tmp_path), config=config, runtime=Runtime())
    expected = align_pairs(model, *corpus, symmetrize="union", threshold=0.1)
    for one in (aligner, again):
        assert one.align(*corpus).links == expected.links
        assert one.align(*corpus).score == expected.score
