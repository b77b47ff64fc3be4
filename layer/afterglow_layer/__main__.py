"""``afterglow`` and ``python -m afterglow_layer``: the command. Heeds Ctrl-C before it imports what takes long."""

import sys

from afterglow_layer import interrupts

interrupts.quit_at_once()

from afterglow_layer.cli import main  # noqa: E402 - what can be interrupted comes after what is to be done then

if __name__ == "__main__":
    sys.exit(main())
