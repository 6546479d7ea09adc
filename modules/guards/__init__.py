"""Guards: modules that pause a run while a condition of the microscope is bad."""
