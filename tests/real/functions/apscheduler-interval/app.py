"""Refreshes its prices every ten minutes, as on a server."""

import itertools

from apscheduler.schedulers.background import BackgroundScheduler

prices = itertools.count()
scheduler = None


def refresh():
    next(prices)


def handler(event, context):
    global scheduler
    if scheduler is None:
        scheduler = BackgroundScheduler(timezone="UTC")
        scheduler.add_job(refresh, "interval", minutes=10)
        scheduler.start()
    return {"ok": True}
