"""Opening a store to write it: by a run, and by its workers."""
