"""One instance between the spool and its output: route, accept, treat pixels, de-identify, verify, store."""
