"""Distributions of whole catalogues: how far apart two are, and what makes one like another."""
