"""Bilingual dictionaries read from files."""
