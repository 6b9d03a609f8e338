"""The models that come with the harness, as compositions of vision, language, fusion and tuning."""
