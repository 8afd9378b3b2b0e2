"""One loop for every family: it knows `model`, `objective(model, batch)` and nothing else."""
