"""Branches, snapshots, failed runs, going back, and moving one run's work onto another's."""
