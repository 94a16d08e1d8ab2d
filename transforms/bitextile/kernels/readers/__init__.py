"""Readers of corpus files, by format."""
