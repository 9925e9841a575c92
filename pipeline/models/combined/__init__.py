"""Models that are made of others: ensembles, and one model under several turns and flips."""
