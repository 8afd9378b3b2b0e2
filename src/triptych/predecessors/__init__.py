"""Where Transformers came from: vectors of words, and of words in their sentences."""
