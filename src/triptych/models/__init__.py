"""The three families; each file reads like its paper's figure."""
