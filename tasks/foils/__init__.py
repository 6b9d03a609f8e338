"""Compositional foils: which of several captions is true of an image, beside what the texts alone give away."""
