"""Spectra that are unlike the others: densities of features, catalogues, and checks of both."""
