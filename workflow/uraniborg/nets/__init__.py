"""Network parts without training code: encoders, decoders, flows."""
