"""Spectrum autoencoders and what builds on them."""
