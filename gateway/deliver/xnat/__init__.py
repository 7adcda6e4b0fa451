"""A project of an XNAT server as a destination, by its REST interface."""
