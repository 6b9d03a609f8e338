"""Experiment trackers: what a run leaves in its results folder, shown in TensorBoard, MLflow or W&B too."""
