"""Attacks on images and texts, made for each model from its own losses, and the gates that tell a weak one."""
