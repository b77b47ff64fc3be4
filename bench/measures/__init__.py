"""One module per measurement; each has ``TITLE``, and ``measure(effort, show)`` that returns its Section."""
