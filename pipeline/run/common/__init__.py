"""What several stages of a run share."""
