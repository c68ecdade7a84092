"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest

from tests.backends import BACKENDS, use_backend


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test once with the compiled kernels and once with numpy."""
    use_backend(monkeypatch, request.param)
    return request.param
