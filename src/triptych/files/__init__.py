"""Files that are whole or not there: atomic writing, manifests, locks, tensors on disk."""
