"""Channels: what a plan calls by one name, a module for each."""
