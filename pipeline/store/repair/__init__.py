"""Reading all of a store to find what is damaged, and mending it."""
