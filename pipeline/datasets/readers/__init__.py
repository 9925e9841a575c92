"""One module a data set, in its authors' layout."""
