"""Data sets by name: what is known of them, how they are fetched, unpacked, found and verified."""
