"""What the tests of the extension share."""

from collections.abc import Iterator

import pytest
from tests.unit.sandbox.api_server import Api


@pytest.fixture
def api() -> Iterator[Api]:
    """Give a Runtime API that the test commands."""
    api = Api()
    yield api
    api.close()
