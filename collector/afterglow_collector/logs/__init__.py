"""Reads what functions have written into their logs, with Afterglow's layer attached or without.

message (one line → REPORT or record) → statistics (additive) → tables; fetch, cursor and pull bring the lines from
CloudWatch Logs; subscription and handler take them as a Lambda function.
"""
