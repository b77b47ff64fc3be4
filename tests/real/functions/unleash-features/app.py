"""Asks Unleash for a toggle; its scheduler fetches them anew from time to time."""

import os

from UnleashClient import UnleashClient

unleash = None


def toggles():
    global unleash
    if unleash is None:
        unleash = UnleashClient(
            f"{os.environ['SINK']}/api", "shop", cache_directory="/tmp/unleash", refresh_interval=15
        )
        unleash.initialize_client()
    return unleash


def handler(event, context):
    return {"express": toggles().is_enabled("express", {"userId": event["order"]})}
