"""FSDP: a sharded encoder learns what a whole one learns, and its checkpoints serve any run."""

import pytest
import torch
from safetensors.torch import load_file

from bitextile.trainer.train.pretrain import pretrain
from run_processes import metrics, started


def test_fsdp_learns_what_one_process_learns_and_its_checkpoints_serve_any(written, tmp_path):
    kinds = {"steps": 6, "grad_accumulation": 4, "language_embeddings": True}
    made, _ = written(**kinds)
    # Without moco, which is refused beside others under FSDP.
    data = [d for d in made.model_dump(mode="json")["data"] if d["objective"] != "moco"]
    made, _ = written(**kinds, data=data)
    _, path = written("fsdp.yaml", **kinds, data=data, parallel="fsdp", evaluate_every=3)
    _, longer = written("longer.yaml", **(kinds | {"steps": 8}), data=data, parallel="fsdp")
    whole, sharded = tmp_path / "whole", tmp_path / "sharded"
    with started(sharded, path, ranks=2) as processes:
        assert processes.codes() == [0, 0], processes.log()
    pretrain(made, str(whole))
    steps = [m for m in metrics(sharded) if "loss" in m]
    for one, other in zip(metrics(whole), steps, strict=True):
        assert other["records"] == one["records"]
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-4)
    # The checkpoint of a step that was validated has every moment too.
    files = (r / "checkpoints/step-00000006/optimiser.safetensors" for r in (whole, sharded))
    one, other = (load_file(file) for file in files)
    assert one.keys() == other.keys()
    assert all(torch.allclose(other[name], one[name], atol=1e-6) for name in one)
    with started(sharded, longer, "--resume", ranks=2) as processes:
        assert processes.codes() == [0, 0], processes.log()
    # Tied embeddings are written once, as a whole encoder has them.
    one, other = (load_file(run / "model.safetensors") for run in (whole, sharded))
    assert one.keys() == other.keys()
    alone, _ = written(**(kinds | {"steps": 8}), data=data)
    assert pretrain(alone, str(whole), resume=True).steps == 8
    one, other = metrics(whole)[-1], metrics(sharded)[-1]
    assert other["loss"] == pytest.approx(one["loss"], rel=1e-4)


def test_fsdp_has_momentum_and_embeddings_of_sharded_encoders(written, datasets, tmp_path):
    for name, more in (("moco", {"queue": 24}), ("align_mlm", {"lexicon": datasets["lexicon"]})):
        entry = {"objective": name, "dataset": datasets["pairs"]} | more
        settings = {"data": [entry], "steps": 4, "grad_accumulation": 2}
        made, _ = written(**settings)
        _, path = written("fsdp.yaml", **settings, parallel="fsdp")
        pretrain(made, str(tmp_path / f"{name}-whole"))
        with started(tmp_path / f"{name}-sharded", path, ranks=2) as processes:
            assert processes.codes() == [0, 0], processes.log()
        pairs = (metrics(tmp_path / f"{name}-{how}") for how in ("whole", "sharded"))
        for one, other in zip(*pairs, strict=True):
            assert other["losses"] == pytest.approx(one["losses"], rel=1e-4)


def test_fsdp_mixes_entries_that_use_the_encoder_alike(written, datasets, tmp_path):
    moco = {"objective": "moco", "dataset": datasets["pairs"], "queue": 24, "projection": 8}
    for name, data in (
        ("with", [moco, moco | {"temperature": 0.2}]),
        ("without", [moco | {"tlm": False}, moco | {"tlm": False, "temperature": 0.2}]),
    ):
        settings = {"data": data, "steps": 6, "grad_accumulation": 4, "language_embeddings": True}
        made, _ = written(**settings)
        _, path = written("fsdp.yaml", **settings, parallel="fsdp", evaluate_every=3)
        pretrain(made, str(tmp_path / f"{name}-whole"))
        with started(tmp_path / f"{name}-sharded", path, ranks=2) as processes:
            assert processes.codes() == [0, 0], processes.log()
        whole, sharded = (metrics(tmp_path / f"{name}-{how}") for how in ("whole", "sharded"))
        for one, other in zip(whole, (m for m in sharded if "loss" in m), strict=True):
            assert other["losses"] == pytest.approx(one["losses"], rel=1e-4)


def test_fsdp_refuses_entries_of_one_objective_that_use_the_encoder_unalike(
    written, datasets, tmp_path
):
    moco = {"objective": "moco", "dataset": datasets["pairs"], "queue": 24}
    alone, mlm = moco | {"tlm": False}, {"objective": "mlm", "dataset": datasets["mono"]}
    for data in ([moco, alone], [alone, moco], [alone, mlm]):
        _, path = written(parallel="fsdp", data=data, grad_accumulation=2)
        with started(tmp_path / "run", path, ranks=2) as processes:
            assert processes.codes() == [2, 2]
        assert "moco cannot be mixed" in processes.log()
        assert "moco: 1 pass, head not used" in processes.log()
        assert ("moco: 2 passes" if moco in data else "mlm: 1 pass") in processes.log()


def test_fsdp_refuses_what_its_ranks_cannot_do_together(written, tmp_path):
    for settings, what in (
        ({"grad_accumulation": 3}, "not a multiple of the 2 ranks"),
        ({}, "moco cannot be mixed"),
    ):
        _, path = written(parallel="fsdp", **settings)
        with started(tmp_path / "run", path, ranks=2) as processes:
            assert processes.codes() == [2, 2]
        assert what in processes.log()
