"""The command line: each command's arguments and options, and what it prints when it is done."""
