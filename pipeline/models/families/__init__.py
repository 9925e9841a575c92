"""One module a family of models: its names, its options and its cards. torch is not imported here."""
