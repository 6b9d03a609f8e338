"""Detection and referring expressions: the task, readers, the scorer, results files."""
