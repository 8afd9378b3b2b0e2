"""Looking inside a model, from outside: nothing here changes what it computes."""
