"""Distributions of galaxy parameters from the photometry of a whole catalogue."""
