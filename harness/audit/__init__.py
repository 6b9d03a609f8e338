"""Audits of data: what of a set bears on scores that are measured on it, before anything is trained."""
