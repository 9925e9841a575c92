"""Fakes of the seams, shipped: for our tests and for those of third parties."""

from pipeline.testing.jobs import make_job
from pipeline.testing.models import ThresholdModel, WindowMeanModel

__all__ = ["ThresholdModel", "WindowMeanModel", "make_job"]
