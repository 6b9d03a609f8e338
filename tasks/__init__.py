"""Tasks and their data formats, found by entry point."""
