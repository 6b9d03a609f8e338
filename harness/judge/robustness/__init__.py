"""Numbers that say how a model degrades: pure functions of robustness records and of tables made elsewhere."""
