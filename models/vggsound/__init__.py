"""VGGSound's ResNets."""
