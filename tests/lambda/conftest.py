"""Fixtures of all Lambda tests: a deployment in moto."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache

import pytest
from botocore.loaders import JSONFileLoader
from guardduty_response import config
from lambda_world import REGION, World
from moto import mock_aws

from sandbox.emulator import moto_speed  # noqa: F401  (half of moto's time)

# Every test has AWS sessions of its own, and each parses its service models: a third of a second
# for EC2's, read once here.
_read = lru_cache(maxsize=None)(JSONFileLoader().load_file)
JSONFileLoader.load_file = lambda self, file_path: _read(file_path)  # type: ignore[method-assign]


@pytest.fixture
def world() -> Iterator[World]:
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("AWS_", "GDR_"))]:
        del os.environ[name]
    os.environ["AWS_DEFAULT_REGION"] = REGION
    config.load.cache_clear()
    try:
        with mock_aws():
            yield World()
    finally:
        config.load.cache_clear()
        os.environ.clear()
        os.environ.update(kept)
