"""Text that comes from outside, made harmless and comparable; imports nothing of the harness."""
