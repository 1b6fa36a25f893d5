"""Control flow that elements decide within a program."""
