"""Metrics of answers to questions: right, unread, of yes and no, of groups, against people, against a prior."""
