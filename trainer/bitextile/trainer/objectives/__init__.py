"""What is learned: one file per objective, each a pure loss and a small adapter to the data."""
