"""Makes a report of all orders, and keeps every row until the last one is read."""

import time

ROWS = 80_000
ROW_BYTES = 5_000


def orders():
    """Stand for a query that yields some 400 MB, a page at a time."""
    for number in range(ROWS):
        if number % 400 == 0:
            time.sleep(0.005)
        yield {"number": number, "document": bytearray(ROW_BYTES)}


def handler(event, context):
    rows = list(orders())
    return {"orders": len(rows)}
