"""`evaluate` takes the options of its task alone; `pretrain` says what a run came to."""

import pytest

from bitextile.pipelines.cli.main import main


def refused(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "model", *arguments])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_an_option_of_another_task_is_refused(capsys) -> None:
    given = ("--task", "bli", "--data", "lexicon")
    assert "--layer is not an option of --task bli" in refused(capsys, *given, "--layer", "3")
    assert "'embedding' is not one of 'retrieval'" in refused(
        capsys, "--task", "embedding", "--data", "lexicon"
    )


def test_the_options_of_a_task_reach_it(capsys, monkeypatch) -> None:
    given: dict[str, object] = {}

    def measure(model: str, **options: object) -> dict[str, object]:
        given.update(options, model=model)
        return {"task": "retrieval"}

    monkeypatch.setattr("bitextile.trainer.evaluate.evaluate.evaluate", measure)
    call = ["evaluate", "m", "--task", "retrieval", "--data", "a", "--data", "b", "--layer", "2"]
    with pytest.raises(SystemExit) as ended:
        main([*call, "--max-rows", "7"])
    assert not ended.value.code
    assert (given["model"], given["task"], given["data"]) == ("m", "retrieval", ["a", "b"])
    assert (given["layer"], given["max_rows"], given["split"]) == (2, 7, "test")
    assert '"task": "retrieval"' in capsys.readouterr().out
