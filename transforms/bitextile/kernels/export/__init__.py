"""Rows as the lines of plain files that other tools read, one module a format."""
