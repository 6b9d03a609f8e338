"""Metrics of label maps: mean IoU and panoptic quality."""
