"""Contents and digests of files: found by path once, checked by sha256; imports nothing of the harness but `text`."""
