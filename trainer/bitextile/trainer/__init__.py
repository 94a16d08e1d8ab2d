"""The trainer: pre-trains, fine-tunes and evaluates encoders on datasets; no Beam."""
