"""Records what omnicloudmask's own networks of releases 1 to 3 say: ``python record_fastai.py``.

It needs ``omnicloudmask[legacy]``, that is fastai, in an environment of its own; nothing of ours but the recipe
is imported. `dynamic_unet_fastai.npz` was made with omnicloudmask 1.8.1, fastai 2.8.12, timm 1.0.31 and torch
2.15.0 on a CPU.
"""

from pathlib import Path

import numpy as np
import torch
from omnicloudmask.model_utils import build_fastai_model, channel_norm

from tests.models import recipe

ENCODERS = ("regnety_004", "convnextv2_nano", "edgenext_small")
OUT = Path(__file__).parent / "dynamic_unet_fastai.npz"


def recorded(encoder):
    """Names and shapes of a network's weights, and logits of some pixels of every window."""
    net = build_fastai_model(encoder).eval()
    layout = {name: tuple(each.shape) for name, each in net.state_dict().items()}
    weights = recipe.state(layout)
    net.load_state_dict({name: torch.from_numpy(each) for name, each in weights.items()})
    found = {
        f"{encoder}/names": np.array(list(layout)),
        f"{encoder}/shapes": np.array([" ".join(map(str, each)) for each in layout.values()]),
    }
    for name, (size, step) in recipe.WINDOWS.items():
        seen = channel_norm(recipe.window(*size), np.nan)
        with torch.inference_mode():
            logits = np.asarray(net(torch.from_numpy(seen[np.newaxis])))[0]
        found[f"{encoder}/{name}"] = logits[:, ::step, ::step]
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    together = {}
    for each in ENCODERS:
        together |= recorded(each)
    np.savez_compressed(OUT, **together)
