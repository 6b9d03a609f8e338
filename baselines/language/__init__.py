"""Text sources: pretrained and scratch language models, and the stand-ins of controls.

Imports vision, tuning and weights.
"""
