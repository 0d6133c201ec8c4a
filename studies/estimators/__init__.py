"""Which gradient estimator trains MMVAE best on real digits? The answer is results.md.

measured.csv holds every number that was measured, one in a row: the run, its seed, the training pairs that the run had
seen, the metric, the value and, where there is one, its standard error. origins.json says which command made it, at
which commit. paper.json holds the numbers that the paper prints.
"""

ESTIMATORS = ("iwae", "stl_iwae", "dreg_iwae", "dreg_mixture")
MODALITIES = ("mnist", "svhn")
GROUPS = 10  # of batches, for the jackknife's standard errors of gradient statistics
