"""Nouns of the gateway: frozen values that cross every room. Standard library and msgspec only."""
