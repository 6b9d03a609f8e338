"""Wraps a detector without torch, and towers with batch norm and dropout that were trained elsewhere."""
