"""Parts of the network families: layers, decoding, and what an observer refuses. Not families."""
