"""Fusion operators: how visual tokens enter a language model, or meet texts; one file and one entry point each."""
