"""Compressed and compiled variants of trained models: the modifiers `+int8`, `+int4`, and others."""
