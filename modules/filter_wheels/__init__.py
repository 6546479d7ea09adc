"""Filter wheels: the module that speaks for a filter wheel driver."""
