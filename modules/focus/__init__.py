"""Focus: the module that speaks for a focus sensor driver."""
