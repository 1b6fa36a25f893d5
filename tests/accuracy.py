"""The errors of the mathematics that kernels are made of, over millions of numbers.

    python tests/accuracy.py                 every function, 2^24 floats each, spread over all
    python tests/accuracy.py exp log         these functions
    python tests/accuracy.py --every         all 2^32 floats

Floats are compared with the same function in double: NumPy's, or Cresset's own where NumPy has none
(which tests/test_mathematics.py holds against mpmath). Printed is the greatest error in units in
the last place, and where it is; the exit status is 1 where one is above two, or a NaN, an infinity
or a sign is wrong.
"""

import argparse
import sys

import numpy as np
from test_mathematics import IN_DOUBLE, SINGLE, UNITS, apply

PART = 1 << 20
SLOW = {"erf", "erfc", "erfinv", "lgamma", "digamma"}  # whose reference in NumPy is a Python loop


def reference(name):
    """The function of an array of doubles."""
    return (lambda x: apply(name, x)) if name in SLOW else IN_DOUBLE[name]


def errors(got, exact):
    """Units in the last place by which floats differ from doubles; infinity where a NaN, an
    infinity or a sign is wrong.
    """
    exponent = np.frexp(np.where(np.isfinite(exact), exact, 1.0))[1] - 1
    unit = np.exp2(np.clip(exponent, -126, 127) - 23.0)
    exact = np.where(np.abs(exact) >= 2.0**128 - 2.0**103, np.copysign(np.inf, exact), exact)
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.float64) - exact) / unit
    signs = np.signbit(got) == np.signbit(exact)
    same = (got == exact) & signs | np.isnan(got) & np.isnan(exact)
    error = np.where(same, 0.0, np.where(signs & np.isfinite(got) & np.isfinite(exact), error,
                                         np.inf))
    # The greatest float and infinity are neighbours.
    bound = (np.abs(exact) >= 2.0**128 - 2.0**105) & (np.abs(got) >= np.float32(3.4028230e38))
    return np.where(bound & signs & ~same, 1.0, error)


def sweep(name, step):
    """(greatest error, where, how many were compared) over every `step`-th float."""
    worst, place, count = -1.0, 0.0, 0
    function = reference(name)
    for first in range(0, 1 << 32, PART * step):
        bits = np.arange(first, min(first + PART * step, 1 << 32), step, np.uint64)
        x = bits.astype(np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            error = errors(apply(name, x), np.asarray(function(x.astype(np.float64)), np.float64))
        at = int(error.argmax())
        if error[at] > worst:
            worst, place = float(error[at]), float(x[at])
        count += len(x)
    return worst, place, count


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="function", help=", ".join(SINGLE))
    parser.add_argument("--every", action="store_true", help="compare all floats")
    options = parser.parse_args()
    failed = False
    for name in options.names or SINGLE:
        # An odd step meets every combination of low bits.
        worst, place, count = sweep(name, 1 if options.every else 255)
        failed |= worst > UNITS
        print(f"{name:10} {worst:5.2f} units at {place!r}, of {count} floats", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
