"""The recipe: its parts, and the chain of commands that `run` makes of it."""
