"""Stored records selected, compared, ranked, gated and judged; starts no model and draws nothing."""
