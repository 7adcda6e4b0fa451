"""HTTP as its client: calls and answers by requests, and bodies of stored bytes by a connection of our own."""
