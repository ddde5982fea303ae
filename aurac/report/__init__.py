"""Words and pictures: what `aurac.analysis` computes, as tables, plots and pages.

- `base`: `Report`, which everything that is printed is: `comparison`, `recommendation`, `power`, `costs`.
- `tables/`: which cells, which words, which notes. `table` says what a table is, `numbers` how a number is printed.
- `formats/`: one file for each text format, found by its name in `FORMATS`.
- `plots/`: pictures, drawn with matplotlib. `pages/`: whole documents.

No number is computed here.
"""
