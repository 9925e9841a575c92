"""What follows a mask: cleaning in metres, shadows checked against the sun, the guard of permanent false positives."""
