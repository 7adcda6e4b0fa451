"""How much of harmless descriptors stays, and of identities in descriptors: measured over two lists."""
