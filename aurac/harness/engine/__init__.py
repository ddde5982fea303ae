"""The sweep engine: lm-eval requests answered with each distinct token prefix forwarded once."""
