"""lrnet: learns distributions over networks whose weights and activations are one bit, or two."""
