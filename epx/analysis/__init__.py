"""Analysis: from rows to numbers, in numpy."""
