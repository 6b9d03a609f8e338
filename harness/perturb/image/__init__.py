"""Corruptions and geometry of images, as pure functions of pixels, severity and seed."""
