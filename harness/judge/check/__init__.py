"""The regression gate: current records against a committed baseline."""
