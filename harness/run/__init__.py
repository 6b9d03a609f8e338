"""Cells run one after the other, each job in a process that may die without harm; imports jobs and below."""
