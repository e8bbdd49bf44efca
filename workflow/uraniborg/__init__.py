"""Uraniborg: survey data through the methods of machine-learning astronomy to their results."""

__version__ = "0.1.0"
