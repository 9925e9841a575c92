"""The work on one tile: mask what changed, compose what that changes."""
