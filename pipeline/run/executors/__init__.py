"""Executors do the tiles of a run: in its own process, or on the workers of a Dask cluster."""
