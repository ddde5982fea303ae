"""Pictures of curves, differences, intervals, places and costs, drawn with matplotlib."""
