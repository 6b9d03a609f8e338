"""Task heads: what turns tokens into a task's answers; imports fusion, language and below."""
