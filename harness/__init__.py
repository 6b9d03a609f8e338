"""The core of Fusemark: it knows no task and no model by name."""
