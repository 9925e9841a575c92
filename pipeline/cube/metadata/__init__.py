"""Metadata of rasters from items and headers: roles, outlines, hrefs; settles contradictions."""
