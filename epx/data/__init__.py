"""Corpora on the host: texts and chess games, found, prepared and verified, in numpy."""
