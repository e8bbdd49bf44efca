"""What a telescope makes of that light: wavelength grids, resolution, noise."""
