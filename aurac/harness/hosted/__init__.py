"""Prompts as HFLM makes them, answered by a program that holds the model itself: a server, or vLLM."""
