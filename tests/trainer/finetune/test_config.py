"""What a fine-tuning is told: unknown keys, paths, and the steps that follow from the rows."""

import pytest

from bitextile.schema.errors import (
    ConfigError,
)


def test_unknown_keys_and_wrong_values_are_named(tuning, task_file):
    with pytest.raises(ConfigError, match="unknown key 'mixup'"):
        tuning(mixup=True)
    with pytest.raises(ConfigError, match=r"unknown key 'train\.0\.weight'"):
        tuning(train=[{"file": task_file, "language": "en", "weight": 2}])
    with pytest.raises(ConfigError, match=r"train\.0: give one of file or dataset"):
        tuning(train=[{}])
    with pytest.raises(ConfigError, match=r"train\.0: a file needs the language"):
        tuning(train=[{"file": task_file}])
    with pytest.raises(ConfigError, match="not a BCP-47 tag"):
        tuning(train=[{"file": task_file, "language": "english!"}])
    with pytest.raises(ConfigError, match="batch_rows is 8, not a multiple of grad_accumulation 3"):
        tuning(grad_accumulation=3)
    with pytest.raises(ConfigError, match="train"):
        tuning(train=[])


def test_paths_start_at_the_file(tuning, tmp_path):
    config = tuning(
        model="enc", train=[{"file": "a.tsv", "language": "EN"}], valid=["b.tsv"], copies=["c"]
    )
    assert config.model == str(tmp_path / "enc")
    assert (config.train[0].file, config.train[0].language) == (str(tmp_path / "a.tsv"), "en")
    assert (config.valid, config.copies) == ((str(tmp_path / "b.tsv"),), (str(tmp_path / "c"),))


def test_an_unknown_task_is_named(refused):
    message = refused(ConfigError, task="bli")
    assert "task is 'bli', expected one that can be learned: classification" in message


def test_steps_follow_from_the_rows_unless_given(tuning):
    whole = tuning(epochs=2, batch_rows=8).with_steps(20)
    assert (whole.steps, whole.warmup_steps, whole.checkpoint_every) == (5, 0, 3)
    assert whole.evaluate_every == 0  # nothing is held out
    given = tuning(steps=40, warmup_steps=3, checkpoint_every=9, valid=["a.tsv"]).with_steps(20)
    assert (given.steps, given.warmup_steps, given.checkpoint_every) == (40, 3, 9)
    assert given.evaluate_every == 3
