"""Where the Transformer came from: one vector a word, and a vector in context by LSTMs."""
