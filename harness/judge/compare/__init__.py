"""Compares two models on the samples that both have answered: `bench compare`."""
