"""A metric and a perturbation of somebody outside."""
