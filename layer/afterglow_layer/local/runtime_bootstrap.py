"""Starts the function as Lambda's managed Python runtimes do, in the interpreter of a local run.

In: the handler's name, from RIE's command line. Out: the runtime client's loop, which does not return.
This follows /var/runtime/bootstrap.py of the images public.ecr.aws/lambda/python:3.12 and later: import the
client first, then lay out sys.path, then let ``site`` read the .pth files, then run. The one difference:
there, PYTHONPATH is set to /var/runtime for child processes; here, the interpreter itself has the client.
"""

import os
import site
import sys

from awslambdaric import __main__ as client

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
    client.main(sys.argv)


if __name__ == "__main__":
    main()
