"""The server's paths and words; no other room knows them."""
