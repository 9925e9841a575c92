"""Files of weights: published addresses, the local cache, checksums, and readers of their formats."""
