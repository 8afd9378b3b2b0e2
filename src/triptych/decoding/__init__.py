"""From scores of the next token to texts. Knows only `next_logits` and a cache whose rows move."""
