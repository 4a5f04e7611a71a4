"""What an observer of Life holds of a pattern: vectors with a label, for a probe to learn.

A probe is an ordinary observer that reads a vector and predicts its label; the description length
of the labels under the blocks code says how much of the pattern a vector shows, and how plainly
(Voita and Titov 2020, arXiv 2003.12298).
"""
