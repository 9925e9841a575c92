"""The groups and arrays of a store: masks, composites, items, records, overviews."""
