"""triptych: the Transformer in its three classical forms, from one small core."""

__version__ = "0.1.0"
