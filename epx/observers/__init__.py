"""One file is one family of learners: `make(**arguments) -> Observer`."""
