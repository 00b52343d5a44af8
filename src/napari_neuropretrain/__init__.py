"""Learn from T1-weighted brain MRI, in napari and on the command line."""

__version__ = "0.1.0"
