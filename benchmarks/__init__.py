"""How fast the gateway is, by itself and beside its peers: ``scripts/benchmark``."""
