"""Generators made of others."""
