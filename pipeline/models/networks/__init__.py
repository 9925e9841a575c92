"""The networks in torch, each loaded from its file of weights."""
