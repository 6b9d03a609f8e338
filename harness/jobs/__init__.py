"""What runs in a process of its own: one training, one prediction, one perturbed block, one measurement.

Imports records and below.
"""
