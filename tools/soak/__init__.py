"""Random traffic for hours, and a look at what it leaves behind."""
