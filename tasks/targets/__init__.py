"""Targets of samples and what is asked of them.

How they move with an image, which slices they fall into, how answers match them.
"""
