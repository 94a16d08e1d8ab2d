"""Task data: sentence pairs, questions, tagged sentences; read, written, derived, inverted."""
