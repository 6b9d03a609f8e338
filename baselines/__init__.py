"""Models, found by entry point: compositions of vision, language, fusion and tuning."""
