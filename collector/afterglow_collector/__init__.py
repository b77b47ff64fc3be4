"""Afterglow's collector side: what reads the records, checks them, adds them up and shows them."""
