"""Galaxies and their light: one generative model behind every simulated survey."""
