"""Figures by matplotlib, and the tables that only one figure has."""
