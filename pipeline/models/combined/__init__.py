"""Models made of other models: ensembles, and test-time augmentation of one model."""
