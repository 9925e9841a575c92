"""Opening a store to read it."""
