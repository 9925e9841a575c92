"""How a torch network is run on windows: on a CPU, on a GPU, and what happens before and after it."""
