"""Temperature: the module that speaks for thermometers and controllers."""
