"""One tar with wheels, weights and data: packed on a connected machine, all that set-up without a network needs."""
