"""Word alignment by the vectors of an encoder."""
