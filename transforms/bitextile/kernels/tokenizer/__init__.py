"""Tokenizers: the sentences learned from, the unigram model, and its twin for transformers."""
