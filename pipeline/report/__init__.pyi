from .material import Material, choose_example
from .page import run_of, write_report
from .pictures import (
    Stretch,
    count_png,
    day_png,
    mask_png,
    rgb_jpeg,
    rgb_png,
    stretch_of,
)

__all__ = [
    "Material",
    "Stretch",
    "choose_example",
    "count_png",
    "day_png",
    "mask_png",
    "rgb_jpeg",
    "rgb_png",
    "run_of",
    "stretch_of",
    "write_report",
]
