"""Ranks start from the weights of rank 0, and a run ends when they come apart."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModel

from bitextile.trainer.distributed import replicas
from bitextile.trainer.distributed.process_group import ProcessGroup
from bitextile.trainer.distributed.replicas import broadcast_weights, check_equal_weights
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.train.pretrain import pretrain, save_initial
from run_processes import assert_same_run, metrics, started


def test_ranks_that_make_up_other_weights_start_from_those_of_the_first(
    written, config, tokenizer, tmp_path
):
    """The head is missing, and each rank fills it in otherwise, as other versions might."""
    save_initial(config(), str(tmp_path / "whole"))
    AutoModel.from_pretrained(tmp_path / "whole").save_pretrained(tmp_path / "bare")
    tokenizer.pretrained.save_pretrained(tmp_path / "bare")
    settings = {"model": {"checkpoint": str(tmp_path / "bare")}, "steps": 4}
    made, path = written(**settings)
    pretrain(made, str(tmp_path / "one"))
    differs = (
        "from bitextile.trainer.train import setup\n"
        "build = setup.build_encoder\n"
        "def other(*arguments, seed, **more):\n"
        "    return build(*arguments, seed=seed + int(os.environ['RANK']), **more)\n"
        "setup.build_encoder = other\n"
    )
    for name, before in (("same", ""), ("other", differs)):
        with started(tmp_path / name, path, ranks=2, before=before) as processes:
            assert processes.codes() == [0, 0], processes.log()
        assert_same_run(tmp_path / "one", tmp_path / name)
        one, two = (load_file(tmp_path / run / "model.safetensors") for run in ("one", name))
        assert all(torch.allclose(one[n], two[n], atol=1e-6) for n in one)
    assert len(metrics(tmp_path / "other")) == 4


def test_a_run_ends_at_the_checkpoint_where_ranks_have_come_apart(written, tmp_path):
    _, path = written(steps=4, checkpoint_every=2)
    moves = (
        "from bitextile.trainer.train import step\n"
        "update = step._update\n"
        "def drifting(state, *more):\n"
        "    update(state, *more)\n"
        "    if state.step == 2 and os.environ['RANK'] == '1':\n"
        "        state.encoder.mlm.lm_head.bias.data[3] += 1e-6\n"
        "step._update = drifting\n"
    )
    with started(tmp_path / "run", path, ranks=2, before=moves) as processes:
        assert processes.codes() == [1, 1], processes.log()
    assert "the weights of rank 1 differ from those of rank 0 at step 4" in processes.log()
    assert processes.log().count("bitextile: ") == 1
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000002"]


class Recorded(ProcessGroup):
    """Rank 0 of three, of which the others are made up here."""

    def broadcast(self, tensors):
        kinds.append({(t.dtype, t.device.type) for t in tensors})
        sent.extend(tensors)

    def collect(self, work):
        mine = work()
        return [mine, others[0](json.loads(json.dumps(mine))), mine] if others else [mine] * 3


kinds: list = []
sent: list = []
others: list = []


@pytest.fixture(autouse=True)
def _forget():
    for noted in (kinds, sent, others):
        noted.clear()


def test_every_tensor_is_given_out_once_with_others_of_its_type():
    module = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 3), nn.BatchNorm1d(3))
    module[1].weight = module[0].weight
    frozen = nn.Linear(2, 2).requires_grad_(False)
    broadcast_weights((module, frozen), Recorded(0, 3))
    assert all(len(kind) == 1 for kind in kinds)
    assert len(sent) == len({id(t) for t in sent})
    wanted = [*module.parameters(), *module.buffers(), *frozen.parameters()]
    assert {id(t) for t in sent} == {id(t) for t in wanted}
    sent.clear()
    broadcast_weights((module,), ProcessGroup())
    assert not sent


def test_the_first_weights_that_differ_are_named(monkeypatch):
    def stop(group, error):
        raise error

    monkeypatch.setattr(replicas, "fail_on_all", stop)
    weights = {"a": torch.zeros(2), "b": torch.tensor([1, 2]), "c": torch.tensor(3.0)}
    check_equal_weights(weights, Recorded(0, 3), step=5)
    weights["a"][0] = float("nan")  # equal to itself here
    check_equal_weights(weights, Recorded(0, 3), step=5)
    others.append(lambda mine: [[n, d if n != "b" else "other"] for n, d in mine])
    with pytest.raises(TrainingError, match=r"rank 1 differ .* step 5 \(b, 1 tensors in all\)"):
        check_equal_weights(weights, Recorded(0, 3), step=5)
    others[:] = [lambda mine: [*mine, ["d", "more"]]]
    with pytest.raises(TrainingError, match="rank 0 lacks some"):
        check_equal_weights(weights, Recorded(0, 3), step=5)
