"""What items and headers state about rasters: roles, outlines, hrefs, and how contradictions are settled."""
