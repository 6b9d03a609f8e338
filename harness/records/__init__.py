"""Records and tables on disk: written whole, read with their digests checked, re-scored; imports plan and below."""
