"""What the stored records say of each claim about fusion: supported, not supported or inconclusive, and why."""
