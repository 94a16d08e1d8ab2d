"""The demo: the whole chain on the embedded sample, and what it shows."""
