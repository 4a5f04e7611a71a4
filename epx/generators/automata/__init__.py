"""Cellular automata: elementary, of Life, and neural."""
