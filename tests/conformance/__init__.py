"""Raw bytes on both sides of a proxy: what each makes of the same requests and answers."""
