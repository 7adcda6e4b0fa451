"""``gateway.yaml`` and the environment as typed settings, with errors that say file, line and key."""
