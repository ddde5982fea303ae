"""Adapter folders: read with every check, written whole or not at all, loaded onto a base model."""
