"""Attributions of an answer to parts of the image and to words, and how good they are."""
