"""Who does the tiles of a run: its own process, or the workers of a Dask cluster."""
