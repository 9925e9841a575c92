"""Replacements of layers that compute the same with less time or memory on a CPU."""
