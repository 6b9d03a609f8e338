"""Image classification and zero-shot classification: tasks, readers of labelled data, scorers."""
