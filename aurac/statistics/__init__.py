"""How sure one can be: errors of one score, differences between scores, which rank to deploy, what a study can show.

One idea a file; everything is computed from per-document scores with numpy and scipy.

| question | file |
|---|---|
| error of one score, its interval | `intervals`, `bca`, `chance` |
| documents that share a passage | `clusters` |
| several seeds, documents and seeds both random | `seeds`, `over_seeds` |
| A or B, on the same documents | `alignment`, `sample`, `paired`, `contrast`, `sign_flip` |
| few documents differ, or nearly all are right | `tilting`, `non_inferiority`, `score_interval` |
| many methods, many tasks | `pairwise`, `multiplicity`, `tiers`, `macro`, `macro_score` |
| the whole curve at once | `bands` |
| equal enough, not worse | `equivalence`, `losses` |
| how many documents and seeds | `planning`, `power`, `confidence_sequence` |
| what misleads, and what to use instead | `refused` |
"""
