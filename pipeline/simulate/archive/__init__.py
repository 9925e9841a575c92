"""The simulated scenes as an archive: products, COGs, STAC items, and the truth."""
