"""Run records: what `aurac score` leaves on disk, and the only room that knows its format (docs/file-formats.md)."""

from __future__ import annotations

from aurac.results.cells import Cell
from aurac.results.files import SCHEMA_VERSION
from aurac.results.profile import Profile, read_profile
from aurac.results.reading import Run, load
from aurac.results.writing import RunRecord

__all__ = ["SCHEMA_VERSION", "Cell", "Profile", "Run", "RunRecord", "load", "read_profile"]
