"""One module per file format: a file in, spectra out."""
