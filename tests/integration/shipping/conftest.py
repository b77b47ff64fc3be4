"""The collector and the certificate that the tests of shipping use."""

from tests.integration.collect.conftest import certificate, collector

__all__ = ["certificate", "collector"]
