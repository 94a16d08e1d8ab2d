"""Pipelines: one file, one pipeline, and the command line."""
