import pytest

from pipeline.training import Experiment


@pytest.fixture(scope="session")
def tiny() -> Experiment:
    """A training of seconds: a narrow network on small patches of forests under cumulus."""
    return Experiment.model_validate(
        {
            "name": "tiny",
            "seed": 3,
            "network": {"channels": [8, 8, 8, 8, 8], "spectral": 16},
            "sources": [{"stream": {"grounds": {"forest": 1}, "skies": {"cumulus": 1}}}],
            "train": {
                "steps": 6,
                "batch": 2,
                "crop_px": 32,
                "lr": 0.01,
                "warm_up": 2,
                "check_every": 2,
                "check_patches": 2,
                "workers": 0,
                "accelerator": "cpu",
            },
        }
    )
