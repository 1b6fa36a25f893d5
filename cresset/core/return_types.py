"""The named tuples that operations with several results return, as PyTorch names and prints them.

    >>> made = max((1.5, 2))
    >>> made.values, made[1]
    (1.5, 2)
    >>> made
    torch.return_types.max(
    values=1.5,
    indices=2)
"""

from __future__ import annotations


class Result(tuple):
    """The results of one call, by position and by name; made from a sequence of them."""

    __slots__ = ()

    def __new__(cls, results):
        made = tuple.__new__(cls, results)
        if len(made) != len(cls.__match_args__):
            raise TypeError(
                f"torch.return_types.{cls.__name__}() takes a {len(cls.__match_args__)}-sequence "
                f"({len(made)}-sequence given)"
            )
        return made

    def __repr__(self) -> str:
        parts = ",\n".join(f"{name}={part!r}" for name, part in zip(self.__match_args__, self))
        return f"torch.return_types.{type(self).__name__}(\n{parts})"

    def __reduce__(self):
        return type(self), (tuple(self),)


def _field(place: int) -> property:
    return property(lambda results: results[place], doc=f"Result {place}.")


ORDERED = ("values", "indices")
FIELDS = {
    "aminmax": ("min", "max"),
    "cummax": ORDERED,
    "cummin": ORDERED,
    "histogram": ("hist", "bin_edges"),
    "histogramdd": ("hist", "bin_edges"),
    "frexp": ("mantissa", "exponent"),
    "geqrf": ("a", "tau"),
    "kthvalue": ORDERED,
    "linalg_cholesky_ex": ("L", "info"),
    "linalg_eig": ("eigenvalues", "eigenvectors"),
    "linalg_eigh": ("eigenvalues", "eigenvectors"),
    "linalg_inv_ex": ("inverse", "info"),
    "linalg_ldl_factor": ("LD", "pivots"),
    "linalg_ldl_factor_ex": ("LD", "pivots", "info"),
    "linalg_lstsq": ("solution", "residuals", "rank", "singular_values"),
    "linalg_lu": ("P", "L", "U"),
    "linalg_lu_factor": ("LU", "pivots"),
    "linalg_lu_factor_ex": ("LU", "pivots", "info"),
    "linalg_qr": ("Q", "R"),
    "linalg_slogdet": ("sign", "logabsdet"),
    "linalg_solve_ex": ("result", "info"),
    "linalg_svd": ("U", "S", "Vh"),
    "lu_unpack": ("P", "L", "U"),
    "max": ORDERED,
    "median": ORDERED,
    "min": ORDERED,
    "mode": ORDERED,
    "nanmedian": ORDERED,
    "qr": ("Q", "R"),
    "slogdet": ("sign", "logabsdet"),
    "sort": ORDERED,
    "svd": ("U", "S", "V"),
    "topk": ORDERED,
    "triangular_solve": ("solution", "cloned_coefficient"),
}

for _name, _fields in FIELDS.items():
    globals()[_name] = type(_name, (Result,), {
        "__doc__": f"What `{_name}` returns: {', '.join(_fields)}.",
        "__match_args__": _fields,
        "__module__": __name__,
        "__slots__": (),
        **{field: _field(place) for place, field in enumerate(_fields)},
    })
