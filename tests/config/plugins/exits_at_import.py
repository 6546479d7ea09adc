"""Leaves at once."""

raise SystemExit("go\naway")
