"""The adaptation study: every method adapts a pretrained network to targets a known weight shift away."""
