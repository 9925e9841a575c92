"""Post-processing of masks: cleaning in metres, shadows by the sun, the guard of permanent false positives."""
