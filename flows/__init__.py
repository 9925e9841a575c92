"""Prefect flows and tasks only: decorators, retries, artifacts. What they do lives in `pipeline`."""
