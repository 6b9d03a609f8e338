"""Intervals, differences and tests over scores of samples and seeds; knows no task and no record format."""
