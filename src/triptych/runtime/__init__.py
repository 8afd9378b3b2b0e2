"""Fast twins of functions elsewhere; each has a test against its slow twin."""
