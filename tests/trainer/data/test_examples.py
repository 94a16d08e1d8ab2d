"""Examples: inputs with their special tokens, and groups of them within a budget."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.trainer.data.examples import batch_by_tokens, join
from toy_examples import example


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 48), min_size=1, max_size=30), st.integers(30, 200))
def test_groups_hold_every_example_once_within_their_room(lengths, budget):
    examples = [example(i, n) for i, n in enumerate(lengths)]
    groups = list(batch_by_tokens(budget, examples))
    assert [e.record for g in groups for e in g] == [e.record for e in examples]
    for group, behind in zip(groups, [*groups[1:], []]):
        tokens = sum(e.n_tokens for e in group)
        assert len(group) == 1 or tokens <= budget
        # As full as can be: the next example would not have fitted.
        assert not behind or tokens + behind[0].n_tokens > budget


def test_layout_is_cls_s_sep_t_sep(tokenizer):
    s, t = tokenizer.encode(["the red dog", "كلب أحمر"])
    pair = join(tokenizer, s, t, languages=("en", "ar"))
    m, n = len(s.ids), len(t.ids)
    assert pair.tokens.tolist() == [tokenizer.cls, *s.ids, tokenizer.sep, *t.ids, tokenizer.sep]
    assert pair.maskable.tolist() == [False, *[True] * m, False, *[True] * n, False]
    # The leading special token is of the first sentence, a separator of the one it ends.
    assert pair.sides.tolist() == [0] * (m + 2) + [1] * (n + 1)
    assert pair.languages == ("en", "ar")
    one = join(tokenizer, s, languages=("en",))
    assert one.tokens.tolist() == [tokenizer.cls, *s.ids, tokenizer.sep]
    assert one.sides.tolist() == [0] * (m + 2)


def test_unknown_words_are_not_to_be_predicted(tokenizer):
    one = join(tokenizer, tokenizer.encode(["dog 猫"])[0], languages=("en",))
    unknown = one.tokens == tokenizer.pretrained.unk_token_id
    assert unknown.any()
    assert not one.maskable[unknown].any()
