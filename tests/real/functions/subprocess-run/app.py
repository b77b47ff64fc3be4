"""Has a child format the order, and waits for it."""

import json
import subprocess
import sys


def handler(event, context):
    call = [sys.executable, "-m", "json.tool", "--compact"]
    done = subprocess.run(call, input=json.dumps(event), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
