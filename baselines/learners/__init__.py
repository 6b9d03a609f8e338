"""Torch modules that are trained and that answer, and what builds them from a composition.

Imports heads, fusion, language, vision and tuning, no named model.
"""
