"""What Afterglow costs, measured: ``python -m bench [NAME…]``. Out: tables, and the sections of RESULTS.md.

Everything is measured against a baseline in the same run, in turns (A B C, B C A, …), so that what the machine
does meanwhile falls on all of them alike. Figures are medians; a difference comes with the interval that a
bootstrap of the paired differences gives.
"""
