"""Tables as values, and what writes them: for a terminal, Markdown, CSV, JSON and HTML; imports no other room."""
