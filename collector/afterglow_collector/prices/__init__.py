"""What AWS charges. table (a dated price list) → costs (pure functions); refresh asks AWS for newer Lambda prices."""
