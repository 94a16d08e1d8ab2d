"""Rows as people look at them: word alignments as geometry and SVG, marked words, examples."""
