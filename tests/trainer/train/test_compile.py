"""torch.compile changes nothing but speed."""

import json
import shutil

import pytest

from bitextile.trainer.train.pretrain import pretrain

COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


@pytest.mark.skipif(COMPILER is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own insides
def test_a_compiled_encoder_has_the_losses_of_an_eager_one(config, tmp_path):
    # Without dropout, of which compiled code draws other numbers.
    geometry = config().model.config | {"hidden_dropout_prob": 0.0, "num_hidden_layers": 1}
    model = {"config": geometry | {"attention_probs_dropout_prob": 0.0}}
    losses = {}
    for compiled in (False, True):
        run = tmp_path / str(compiled)
        pretrain(config(model=model, compile=compiled, steps=4, batch_tokens=600), str(run))
        lines = (run / "metrics.jsonl").read_text().splitlines()
        losses[compiled] = [json.loads(x)["loss"] for x in lines]
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)
