"""Afterglow's sandbox side: what runs inside a Lambda execution environment, beside the function.

Importing this package does nothing: the boot path pays for each import (see ``boot``).
"""
