"""Corpora on the host: texts and chess games, loaded, prepared and verified, in numpy."""
