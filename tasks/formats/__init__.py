"""Readers of data formats: files become checked, frozen dataclasses; nothing is trained or scored here."""
