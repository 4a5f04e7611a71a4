"""From texts and names to what a run is made of: keys, values, components, their contracts."""
