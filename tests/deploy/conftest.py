"""Prefect as we set it: it reads its environment when it is first imported."""

from pipeline import config

config.set_prefect_defaults()
