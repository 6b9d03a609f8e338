"""Tuning policies: which weights of a language model move; one file and one entry point each."""
