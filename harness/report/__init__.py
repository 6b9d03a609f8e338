"""Words, tables and pages of what was judged; imports judge and below, and can start no model."""
