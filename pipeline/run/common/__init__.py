"""What several stages of a run share: scenes, cells, fingerprints, the clock, progress."""
