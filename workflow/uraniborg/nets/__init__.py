"""Network parts without training code: encoders and decoders."""
