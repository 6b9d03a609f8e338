"""Which cells there are: the configuration, the installed plugins, the models with their controls.

Imports inputs and below.
"""
