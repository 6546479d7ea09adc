"""Feeds: frames made of the frames of a camera, live and recorded."""
