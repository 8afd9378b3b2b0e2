"""One reversible table for each foreign format."""
