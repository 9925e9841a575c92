"""Adjustments of surface reflectance that let sensors share a composite: band pass, and view angle."""
