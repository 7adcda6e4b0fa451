"""Held instances in front of a person: what they look like, why they are held, and what is decided."""
