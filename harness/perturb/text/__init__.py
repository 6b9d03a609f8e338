"""Edits of texts: characters, words, sentences, whole replacements, and the check that meaning stays."""
