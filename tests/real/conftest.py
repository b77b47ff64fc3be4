"""What the tests of the corpus share with those of real sandboxes."""

from tests.integration.conftest import namespaces

__all__ = ["namespaces"]
