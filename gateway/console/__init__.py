"""HTTP: the API, who may use it, and (later) pages. A process of its own; what it imports, only that loads."""
