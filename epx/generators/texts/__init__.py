"""Texts and tokens: of corpora, of sums, of stories."""
