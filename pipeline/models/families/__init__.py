"""One module per family of models: its names, options and cards. torch is not imported here."""
