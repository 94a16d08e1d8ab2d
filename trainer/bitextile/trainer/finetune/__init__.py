"""Fine-tuning for sentence-pair classification: plain, SALT, and on switched task data."""
