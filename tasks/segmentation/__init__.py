"""Semantic and panoptic segmentation: the task, readers, the scorer, results files."""
