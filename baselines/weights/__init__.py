"""Where pretrained weights lie and what identifies them; imports the harness alone."""
