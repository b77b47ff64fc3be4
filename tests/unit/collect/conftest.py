"""Hypothesis on a machine that others use too: examples are counted, not timed."""

from hypothesis import HealthCheck, settings

settings.register_profile("afterglow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("afterglow")
