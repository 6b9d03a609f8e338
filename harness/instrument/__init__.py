"""Tests the instrument itself: what is known to be there must be found by the verdicts, and nothing else."""
