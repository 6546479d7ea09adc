"""A plugin that believes it is the program."""

raise SystemExit(0)
