"""Which pixels of a spectrum make it an outlier."""
