"""Derived languages: text transformed so that exact word alignments are known."""
