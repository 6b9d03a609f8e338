"""Metrics of labels: accuracy, calibration, several labels an image, seen and unseen classes."""
