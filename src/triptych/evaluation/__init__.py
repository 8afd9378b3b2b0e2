"""How good is it: translation scores, significance, word alignment, word senses."""
