"""The environment."""

import pytest

from pipeline.config import read_settings
from pipeline.errors import ConfigError


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.delenv("CLOUDMASK_LOG_LEVEL", raising=False)
    monkeypatch.delenv("CLOUDMASK_MEMORY_BYTES", raising=False)


def test_the_environment_is_read(monkeypatch):
    assert read_settings().memory_bytes is None
    monkeypatch.setenv("CLOUDMASK_LOG_LEVEL", "INFO")
    monkeypatch.setenv("CLOUDMASK_MEMORY_BYTES", "4 GiB")
    monkeypatch.setenv("CLOUDMASK_OF_ANOTHER", "1")
    settings = read_settings()
    assert (settings.log_level, settings.memory_bytes) == ("INFO", 4 * 2**30)


def test_mistakes_name_their_variable(monkeypatch):
    monkeypatch.setenv("CLOUDMASK_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("CLOUDMASK_MEMORY_BYTES", "much")
    with pytest.raises(ConfigError) as caught:
        read_settings()
    first, second = str(caught.value).splitlines()
    assert first.startswith("CLOUDMASK_LOG_LEVEL: found 'LOUD', expected 'DEBUG', 'INFO'")
    assert second.startswith("CLOUDMASK_MEMORY_BYTES: found 'much', expected a size such as")
