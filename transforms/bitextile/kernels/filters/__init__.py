"""Rules that keep or reject a row; one file per rule."""
