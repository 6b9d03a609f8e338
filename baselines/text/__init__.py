"""Text sources: what a text (a class name, a remark, an expression) becomes before it meets an image."""
