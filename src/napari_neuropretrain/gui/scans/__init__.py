"""Scans as napari layers, and the view on them."""
