"""Sums of products over dims of several tensors: einsum, tensordot, inner, kron.

All of them are products of batches of matrices once dims are put in order.
"""

from __future__ import annotations

import string
from math import prod

from cresset.core import dtype as types
from cresset.core.tensor import Tensor
from cresset.ops.operation import method
from cresset.ops.out import with_out
from cresset.ops.shape import diagonal, permute, reshape

__all__ = ["einsum", "inner", "kron", "tensordot"]


def einsum(*args):
    """The sum of products that an equation such as "bij,bjk->bik" names.

    Each term has a letter for every dim of its operand. Dims with one letter are the same index; it
    is summed over unless it stands in the output, and a letter twice in a term takes the diagonal.
    "..." stands for dims without letters, which broadcast. Without "->" the output has those dims
    and then, in alphabetical order, the letters that stand once. Dims of size 1 broadcast.
    Operands are multiplied two at a time from the left. Instead of an equation, operands and lists
    of numbers below 52 or Ellipsis may alternate, a last list being the output.

    >>> import cresset
    >>> a = cresset.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> cresset.einsum("ij,kj->ik", a, a)
    tensor([[ 5., 11.],
            [11., 25.]])
    >>> cresset.einsum(a, [0, 0], [0])
    tensor([1., 4.])
    """
    equation, operands = _spelled(args)
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) > len(operands):
        raise RuntimeError(f"einsum(): fewer operands were provided than specified in the "
                           f"equation; {equation!r} names {len(terms)}; got {len(operands)}")
    if len(terms) < len(operands):
        raise RuntimeError(f"einsum(): more operands were provided than specified in the "
                           f"equation; {equation!r} names {len(terms)}; got {len(operands)}")
    _check_letters(equation, terms, right)
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    *terms, right = _lettered(terms, right, operands)
    _check_output(terms, right)
    return contracted([_diagonals(k, x, term) for k, (x, term) in enumerate(zip(operands, terms))],
                      right)


def contracted(parts, output):
    """The sum of products of `parts`, (operand, the names of its dims) each, over all names that
    are not in `output`, whose order the result's dims have."""
    parts = _of_one_size(parts)
    x, names = parts[0]
    for k, (y, others) in enumerate(parts[1:], start=1):
        kept = set(output).union(*[later for _, later in parts[k + 1 :]])
        x, names = _product(x, names, y, others, kept)
    x, names = _summed(x, names, set(output))
    return permute(x, tuple(names.index(c) for c in output))


def _spelled(args):
    """(equation, operands) of a call in either form."""
    if args and isinstance(args[0], str):
        equation, *operands = args
        if len(operands) == 1 and not isinstance(operands[0], Tensor):
            operands = list(operands[0])
        if not operands:
            raise ValueError("einsum(): must provide at least one operand")
        return equation, operands
    if len(args) < 2:
        raise ValueError("einsum(): must specify the equation string and at least one operand, or "
                         "at least one operand and its subscripts list")
    paired = len(args) // 2
    terms = [_subscripts(numbers) for numbers in args[1 : 2 * paired : 2]]
    equation = ",".join(terms)
    if len(args) % 2:
        equation += "->" + _subscripts(args[-1])
    return equation, list(args[0 : 2 * paired : 2])


def _subscripts(numbers) -> str:
    letters = string.ascii_uppercase + string.ascii_lowercase
    out = ""
    for n in numbers:
        if n is not Ellipsis and not 0 <= n < len(letters):
            raise ValueError(f"einsum(): subscripts must be in [0, {len(letters)}); got {n}")
        out += "..." if n is Ellipsis else letters[n]
    return out


def _check_letters(equation, terms, right):
    for term in [*terms, right]:
        for k, c in enumerate(term.replace("...", "", 1)):
            if c not in string.ascii_letters:
                raise RuntimeError(
                    f"einsum(): invalid subscript given at index {k} of the term {term!r} in the "
                    f"equation {equation!r}, subscripts must be in [a-zA-Z], or one ellipsis"
                )


def _lettered(terms, right, operands):
    """The terms with letters in the place of "...", the same for the last dims of each."""
    counts = []
    for k, (term, x) in enumerate(zip(terms, operands)):
        named, rank = len(term.replace("...", "")), x.layout.ndim
        if named > rank or named < rank and "..." not in term:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) "
                f"{'is more than' if named > rank else 'does not match'} the number of dimensions "
                f"({rank}) for operand {k}{'' if '...' in term else ' and no ellipsis was given'}; "
                f"the term {term!r} stands for shape {tuple(x.layout.shape)}"
            )
        counts.append(rank - named)
    most = max(counts)
    # Any names serve that are no letters of equations.
    letters = [f"...{k}" for k in range(most)]
    out = [_with(letters[most - n :], t) for t, n in zip(terms, counts)]
    return [*out, _with(letters, right)]


def _with(letters, term):
    """A term as a list, `letters` in the place of "..."."""
    front, dots, back = term.partition("...")
    return [*front, *letters, *back] if dots else [*term]


def _check_output(terms, right):
    known = {c for term in terms for c in term}
    for c in right:
        if c not in known:
            raise RuntimeError(f"einsum(): output subscript {c} does not appear in the equation "
                               "for any input operand")
        if right.count(c) > 1:
            raise RuntimeError(f"einsum(): output subscript {c} appears more than once in the "
                               "output")


def _diagonals(k, x, term):
    """An operand with repeated letters taken as diagonals, and its letters."""
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            a = term.index(c)
            b = term.index(c, a + 1)
            n, m = x.layout.shape[a], x.layout.shape[b]
            if n != m:
                raise RuntimeError(f"einsum(): subscript {c} is repeated for operand {k} but the "
                                   f"sizes don't match, {m} != {n}")
            x = diagonal(x, 0, a, b)
            term = [*term[:a], *term[a + 1 : b], *term[b + 1 :], c]
    return x, term


def _of_one_size(parts):
    """The parts without dims of size 1 that stand for a greater size elsewhere."""
    sizes: dict = {}
    for k, (x, names) in enumerate(parts):
        for c, n in zip(names, x.layout.shape):
            if sizes.setdefault(c, n) == 1:
                sizes[c] = n
            elif n not in (1, sizes[c]):
                raise RuntimeError(
                    f"einsum(): subscript {c} has size {n} for operand {k} which does not "
                    f"broadcast with previously seen size {sizes[c]}"
                )
    out = []
    for x, names in parts:
        wide = [k for k, n in enumerate(x.layout.shape) if n != 1 or sizes[names[k]] == 1]
        if len(wide) < len(names):
            shape = tuple(x.layout.shape[k] for k in wide)
            x, names = reshape(x, shape), [names[k] for k in wide]
        out.append((x, names))
    return out


def _summed(x, names, kept):
    """x summed over the dims whose names are not kept."""
    dims = tuple(k for k, c in enumerate(names) if c not in kept)
    return (x.sum(dims), [c for c in names if c in kept]) if dims else (x, names)


def _product(x, names, y, others, kept):
    """The product of two operands, summed over the names that are not kept."""
    x, names = _summed(x, names, kept.union(others))
    y, others = _summed(y, others, kept.union(names))
    sizes = {**dict(zip(names, x.layout.shape)), **dict(zip(others, y.layout.shape))}
    shared = [c for c in names if c in others]
    batch = [c for c in shared if c in kept]
    inner = [c for c in shared if c not in kept]
    rows = [c for c in names if c not in shared]
    columns = [c for c in others if c not in shared]
    x = permute(x, tuple(names.index(c) for c in batch + rows + inner))
    y = permute(y, tuple(others.index(c) for c in batch + inner + columns))

    def shape(*groups):
        return tuple(prod(sizes[c] for c in group) for group in groups)

    if inner:
        made = reshape(x, shape(batch, rows, inner)) @ reshape(y, shape(batch, inner, columns))
    else:
        x = reshape(x, (*shape(batch, rows), 1))
        made = x * reshape(y, (*shape(batch), 1, *shape(columns)))
    left = batch + rows + columns
    return reshape(made, tuple(sizes[c] for c in left)), left


@with_out
def tensordot(a, b, dims=2):
    """The sum of products over dims of both, the last of a and the first of b unless named.

    `dims` is their number, or a pair of lists of dims, which are paired in order.

    >>> import cresset
    >>> cresset.tensordot(cresset.ones(2, 3), cresset.ones(3, 2), dims=1)
    tensor([[3., 3.],
            [3., 3.]])
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot: expects dims >= 0, but got dims={dims}")
        if dims > min(a.layout.ndim, b.layout.ndim):
            raise RuntimeError(
                f"tensordot: expects dims < ndim_a or ndim_b, but got dims={dims} for shapes "
                f"{tuple(a.layout.shape)} and {tuple(b.layout.shape)}"
            )
        dims = (range(-dims, 0), range(dims))
    first, second = dims
    if len(first) != len(second):
        raise RuntimeError(
            "tensordot: both dimension lists should have same length; got "
            f"{list(first)} and {list(second)}"
        )
    for i, j in zip(first, second):
        n, m = a.layout.shape[i], b.layout.shape[j]
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"tensordot: contracted dimensions need to match, but first has size {n} in dim "
                f"{i} and second has size {m} in dim {j}"
            )
    dims_a, dims_b = list(range(a.layout.ndim)), [-1 - k for k in range(b.layout.ndim)]
    for i, j in zip(first, second):
        dims_b[j] = dims_a[i]
    summed = {dims_a[i] for i in first}
    output = [c for c in dims_a + dims_b if c not in summed]
    return contracted([(a, dims_a), (b, dims_b)], output)


@method()
@with_out
def inner(input, other):
    """The sums of products over the last dims of both; a tensor without dims multiplies.

    >>> import cresset
    >>> cresset.inner(cresset.tensor([1, 2]), cresset.tensor([[3, 4], [5, 6]]))
    tensor([11, 17])
    """
    if not input.layout.ndim or not other.layout.ndim:
        return input * other
    if input.layout.shape[-1] != other.layout.shape[-1]:
        raise RuntimeError(
            "inner: the last dimension must match on both input tensors but got shapes "
            f"{list(input.layout.shape)} and {list(other.layout.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


@method()
@with_out
def kron(input, other):
    """The Kronecker product: every element of `input` times the whole of `other`, side by side.

    >>> import cresset
    >>> cresset.kron(cresset.tensor([1, 10]), cresset.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    rank = max(input.layout.ndim, other.layout.ndim)
    n, m = ((1,) * (rank - x.layout.ndim) + tuple(x.layout.shape) for x in (input, other))
    coarse = reshape(input, tuple(size for k in n for size in (k, 1)))
    fine = reshape(other, tuple(size for k in m for size in (1, k)))
    return reshape(coarse * fine, tuple(i * j for i, j in zip(n, m)))


# At the top level the name is that of `capture.trace`, which gives way to this for a tensor.
@method("trace")
def trace(input):
    """The sum of a matrix' diagonal.

    >>> import cresset
    >>> cresset.eye(3).trace()
    tensor(3.)
    """
    if input.layout.ndim != 2:
        raise RuntimeError(
            f"trace: expected a matrix, but got tensor with dim {input.layout.ndim}; its shape is "
            f"{tuple(input.layout.shape)}"
        )
    if input.layout.dtype is types.bool:
        raise NotImplementedError("trace: not implemented for torch.bool; convert with .int()")
    return diagonal(input).sum()
