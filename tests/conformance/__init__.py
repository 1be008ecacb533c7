"""Raw bytes on both sides of a proxy: what Cyan, nginx and HAProxy make of the same requests and answers."""
