"""What items and headers say of their rasters: roles, where they lie, and what settles a contradiction."""
