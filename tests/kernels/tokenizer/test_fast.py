"""The tokenizer file: special tokens, and the model's own vocabulary."""

from bitextile.kernels.tokenizer.fast import fast_tokenizer

VOCAB = [[piece, 0.0] for piece in ("<s>", "<pad>", "</s>", "<unk>", "▁犬", "<mask>")]


def test_special_tokens_have_the_ids_of_their_pieces() -> None:
    body = fast_tokenizer(VOCAB)
    assert {t["content"]: t["id"] for t in body["added_tokens"]} == {
        piece: i for i, (piece, _) in enumerate(VOCAB) if piece != "▁犬"
    }
    assert [t["content"] for t in body["added_tokens"] if t["lstrip"]] == ["<mask>"]
    assert body["model"]["vocab"] == VOCAB
    assert VOCAB[body["model"]["unk_id"]][0] == "<unk>"
