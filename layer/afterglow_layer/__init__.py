"""Builds the layer, and runs a function locally with it attached."""
