"""The verbs of the command line: what each is given, and what it says when it is done."""
