"""Linear algebra: systems, factorizations, spectra, norms; computed by NumPy's LAPACK.

`cresset.linalg` holds the public names. Every function takes matrices in the last two dims; the
dims before them are batches. Gradients follow Giles, Collected matrix derivative results for
forward and reverse mode algorithmic differentiation (2008), unless another source is named; for
complex matrices they are those of Wirtinger, conjugated, as PyTorch's are.
"""
