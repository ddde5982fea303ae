"""Rank-accuracy curves: the object, its files, the scores of several seeds."""
