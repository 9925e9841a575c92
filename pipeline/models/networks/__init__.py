"""The networks in torch, each filled from its file of weights."""
