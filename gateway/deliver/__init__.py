"""Delivery: destinations behind one small interface, a package for each kind, and when to try again."""
