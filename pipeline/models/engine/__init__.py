"""Runs torch networks on windows, on a CPU or a GPU: normalisation, gap filling, inference, memory."""
