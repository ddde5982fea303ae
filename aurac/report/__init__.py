"""Words and pictures for numbers that the analysis made; no numbers of its own."""
