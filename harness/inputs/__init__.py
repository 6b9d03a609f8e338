"""Files become decoded images, fitted pixels and visual tokens, perturbed on the way where asked.

Imports perturb and below.
"""
