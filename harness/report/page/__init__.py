"""Records -> one self-contained HTML page, or the same tables as Markdown and CSV; no model is ever started."""
