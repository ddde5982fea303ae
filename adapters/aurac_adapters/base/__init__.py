"""The base model of an adapter: its configuration, its weights."""
