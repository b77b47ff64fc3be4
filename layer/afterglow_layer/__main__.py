"""``python -m afterglow_layer`` is the ``afterglow`` command."""

import sys

from afterglow_layer.cli import main

sys.exit(main())
