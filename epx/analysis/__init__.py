"""From rows to numbers, in numpy."""
