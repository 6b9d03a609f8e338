"""Metrics: pure functions of outcomes, each with the statistics that a resample needs."""
