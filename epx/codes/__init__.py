"""How bits are charged while an observer learns: `make(**arguments) -> Step`."""
