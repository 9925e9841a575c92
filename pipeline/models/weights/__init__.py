"""Files of weights: where they are published, where they are kept, and their checksums."""
