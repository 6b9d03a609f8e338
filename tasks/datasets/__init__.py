"""What data sets of all tasks share: where they lie, the roles of their splits, prompts, values of labels.

Imports formats.
"""
