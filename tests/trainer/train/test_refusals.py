"""What cannot be learned from is refused with one sentence, before anything is written."""

import json

import pytest

from bitextile.schema.errors import BitextileError, ConfigError, DatasetError, SchemaError
from bitextile.trainer.train.pretrain import pretrain

READS = {
    "mlm": "mono or pairs or aligned",
    "tlm": "pairs or aligned or exchange",
    "camlm": "pairs or aligned or exchange",
    "btmlm": "pseudo",
    "weam": "aligned or exchange",
    "moco": "pairs or aligned",
    "align_mlm": "mono or pairs or aligned",
    "dict_mlm": "mono or pairs or aligned",
}
KINDS = ("mono", "pairs", "aligned", "exchange", "pseudo", "lexicon")
WRONG = [(o, k) for o, reads in READS.items() for k in KINDS if k not in reads.split(" or ")]


@pytest.fixture
def refused(config, word_tokenizer, tmp_path):
    """Runs one entry and returns what it was refused with."""

    def run(error: type[BitextileError], **entry: object) -> str:
        out = tmp_path / "run"
        settings = config(tokenizer=word_tokenizer.path, data=[entry])
        with pytest.raises(error) as caught:
            pretrain(settings, str(out))
        assert not out.exists()
        assert type(caught.value) is error
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 400
        return message

    return run


def more(objective: str, datasets) -> dict[str, str]:
    return {"lexicon": datasets["lexicon"]} if objective in ("align_mlm", "dict_mlm") else {}


@pytest.mark.parametrize(("objective", "kind"), WRONG)
def test_a_dataset_of_the_wrong_kind(refused, datasets, objective, kind):
    message = refused(
        SchemaError, objective=objective, dataset=datasets[kind], **more(objective, datasets)
    )
    assert message == (
        f"data.0: {objective} learns from {READS[objective]}, but {datasets[kind]} holds {kind}; "
        "name another dataset or another objective"
    )


@pytest.mark.parametrize("objective", ["align_mlm", "dict_mlm"])
def test_a_lexicon_of_the_wrong_kind(refused, datasets, objective):
    message = refused(
        SchemaError, objective=objective, dataset=datasets["mono"], lexicon=datasets["pairs"]
    )
    assert message == f"{datasets['pairs']} holds kind pairs, expected lexicon; give such a folder"


@pytest.mark.parametrize("objective", ["align_mlm", "dict_mlm"])
def test_a_lexicon_without_a_pair(refused, datasets, make_dataset, tmp_path, objective):
    empty = make_dataset(tmp_path / "empty", "lexicon", rows=0, shards=1)
    message = refused(DatasetError, objective=objective, dataset=datasets["mono"], lexicon=empty)
    assert message.startswith(f"{empty}: the lexicon has no pair")


@pytest.mark.parametrize("objective", list(READS))
def test_a_dataset_without_rows(refused, datasets, make_dataset, tmp_path, objective):
    kind = READS[objective].split(" or ")[0]
    empty = make_dataset(tmp_path / "empty", kind, rows=0, shards=2)
    message = refused(DatasetError, objective=objective, dataset=empty, **more(objective, datasets))
    assert message == f"data.0: {empty} has no rows; leave it out"


@pytest.mark.parametrize("objective", ["mlm", "align_mlm"])
def test_a_folder_that_is_no_dataset(refused, datasets, tmp_path, objective):
    paths = {"dataset": datasets["mono"], **more(objective, datasets)}
    paths[list(paths)[-1]] = str(tmp_path / "nowhere")
    message = refused(DatasetError, objective=objective, **paths)
    assert message.startswith(str(tmp_path / "nowhere"))


def test_a_shard_without_rows_is_no_hindrance(config, make_dataset, tmp_path):
    path = make_dataset(tmp_path / "mono", "mono", rows=9, shards=12)
    shards = json.loads((tmp_path / "mono" / "manifest.json").read_text())["shards"]
    # Nine rows in twelve shards, so some have none.
    assert 0 in [s["rows"] for s in shards]
    data = [{"objective": "mlm", "dataset": path}]
    summary = pretrain(config(data=data, steps=2), str(tmp_path / "run"))
    assert summary.steps == 2


def test_an_option_of_another_objective(config, datasets):
    entry = {"objective": "tlm", "dataset": datasets["pairs"], "queue": 5}
    with pytest.raises(ConfigError, match=r"data\.0: queue is an option of moco, not of tlm$"):
        config(data=[entry])
