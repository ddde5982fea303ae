"""How sure one can be: errors of one score, differences between scores, which rank to deploy, what a study can show.

One idea a file; everything is computed from per-document scores with numpy and scipy.

| question | file |
|---|---|
| error of one score, its interval | `intervals`, `bca`, `chance`, `recovered` |
| several seeds, documents and seeds both random | `seeds` |
| A or B, on the same documents | `alignment`, `paired`, `sign_flip`, `bayes` |
| many methods, many tasks | `pairwise`, `multiplicity`, `max_t`, `tiers`, `macro`, `over_tasks` |
| the whole curve at once | `bands` |
| equal enough, not worse, which rank to deploy | `equivalence`, `adequacy` |
| how many documents and seeds | `planning`, `confidence_sequence` |
| what misleads, and what to use instead | `refused` |
"""
