"""Starts the function as Lambda's managed Python runtimes do, in the interpreter of a local run.

In: the handler's name, from RIE's command line. Out: the runtime client's loop, which does not return.
This follows /var/runtime/bootstrap.py of the images public.ecr.aws/lambda/python:3.12 and later: import the
client first, as ``awslambdaricmain``, then lay out sys.path, then let ``site`` read the .pth files, then set PYTHONPATH
for child processes, then run. The name matters: agents that patch the client's loop look for it, as Sentry does in
``sys.modules["__main__"].awslambdaricmain.bootstrap`` (sentry-sdk 2.75, integrations/aws_lambda.py).
"""

import os
import site
import sys

from awslambdaric import __main__ as awslambdaricmain

LAYER_PACKAGES = f"/opt/python/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
LAYER = "/opt/python"


def main() -> None:
    """Lay out the path, read the .pth files, hand over to the runtime client."""
    folders = [os.environ["LAMBDA_TASK_ROOT"]]
    if "PYTHONPATH" not in os.environ:
        folders += [LAYER_PACKAGES, LAYER]
    # In place of this file's own folder, which the interpreter has put in front.
    sys.path[:1] = folders
    for folder in folders:
        site.addsitedir(folder)
    os.environ.setdefault("PYTHONPATH", os.environ.get("LAMBDA_RUNTIME_DIR", "/var/runtime"))
    awslambdaricmain.main(sys.argv)


if __name__ == "__main__":
    main()
