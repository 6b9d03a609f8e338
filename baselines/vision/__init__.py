"""Vision backbones: which weights, and the tower that turns pixels into visual tokens.

Imports tuning, weights and settings.
"""
