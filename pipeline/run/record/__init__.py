"""What a run expected, used, dropped and spent."""
