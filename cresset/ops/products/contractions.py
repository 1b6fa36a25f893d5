"""Sums of products over dims of several tensors: einsum, tensordot, inner, kron.

All of them are products of batches of matrices once dims are put in order.
"""

from __future__ import annotations

import string
from functools import lru_cache
from math import prod

from cresset.core.families import required
from cresset.core.tensor import Tensor
from cresset.ops.operation import counted_as, method
from cresset.ops.out import with_out
from cresset.ops.pointwise.arithmetic import mul
from cresset.ops.products.matrix_products import matmul
from cresset.ops.reductions.reduction import sum
from cresset.ops.shapes.shape import diagonal, permute, reshape

__all__ = ["einsum", "inner", "kron", "tensordot"]

# Equations and combinations of shapes whose plans are kept.
MOST = 4096


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
    return contracted(operands, *_parsed(equation, tuple([x.layout.ndim for x in operands])))


@lru_cache(MOST)
def _parsed(equation, ranks):
    """(the names of every operand's dims, those of the output)."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise RuntimeError(
            f"einsum(): {'fewer' if len(terms) > len(ranks) else 'more'} operands were provided "
            f"than specified in the equation; {equation!r} names {len(terms)}; got {len(ranks)}"
        )
    _check_letters(equation, terms, right)
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    *names, output = _lettered(terms, right, ranks)
    _check_output(names, output)
    return tuple(names), output


def _spelled(args):
    """(equation, operands) of a call in either form."""
    if args and isinstance(args[0], str):
        equation, *operands = args
        if len(operands) == 1 and not isinstance(operands[0], Tensor):
            operands = list(operands[0])
        if not operands:
            raise ValueError("einsum(): must provide at least one operand")
        return equation, operands
    if args and not isinstance(args[0], Tensor):
        raise TypeError(
            f"einsum(): argument 'equation' must be str; got {args[0]!r}; give such as 'ij,jk->ik'"
        )
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


def _lettered(terms, right, ranks):
    """The terms with letters in the place of "...", the same for the last dims of each."""
    counts = []
    for k, (term, rank) in enumerate(zip(terms, ranks)):
        named = len(term.replace("...", ""))
        if named > rank or named < rank and "..." not in term:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) "
                f"{'is more than' if named > rank else 'does not match'} the number of dimensions "
                f"({rank}) for operand {k}{'' if '...' in term else ' and no ellipsis was given'}; "
                f"its term is {term!r}"
            )
        counts.append(rank - named)
    most = max(counts)
    # Any names serve that are no letters of equations.
    letters = [f"...{k}" for k in range(most)]
    out = [_with(letters[most - n :], t) for t, n in zip(terms, counts)]
    return [*out, _with(letters, right)]


def _with(letters, term):
    """A term as a tuple, `letters` in the place of "..."."""
    front, dots, back = term.partition("...")
    return (*front, *letters, *back) if dots else (*term,)


def _check_output(terms, right):
    known = {c for term in terms for c in term}
    for c in right:
        if c not in known:
            raise RuntimeError(f"einsum(): output subscript {c} does not appear in the equation "
                               "for any input operand")
        if right.count(c) > 1:
            raise RuntimeError(f"einsum(): output subscript {c} appears more than once in the "
                               "output")


# --- contractions ---------------------------------------------------------------------------------
def contracted(operands, names, output):
    """The sum of products of tensors over all names of dims that are not in `output`.

    `names` has a tuple for every operand; `output` names the dims of the result in order.
    """
    first, products, last = _planned(
        tuple([x.layout.shape for x in operands]), tuple(names), tuple(output)
    )
    x = _moved(operands[0], first)
    for y, (x_moves, y_moves, product) in zip(operands[1:], products):
        x = product(_moved(x, x_moves), _moved(y, y_moves))
    return _moved(x, last)


def _moved(x, moves):
    for function, arguments in moves:
        x = function(x, *arguments)
    return x


class Moves:
    """What is done to an operand: its dims' names and sizes, and the calls that lead there."""

    def __init__(self, names, shape):
        self.names, self.shape = list(names), list(shape)
        self.calls: list = []

    def take(self) -> list:
        """The calls so far, which are then done."""
        calls, self.calls = self.calls, []
        return calls

    def _keep(self, places):
        self.names = [self.names[k] for k in places]
        self.shape = [self.shape[k] for k in places]

    def diagonals(self, number):
        """Names that stand twice become one, of the diagonal."""
        for c in dict.fromkeys(self.names):
            while self.names.count(c) > 1:
                i = self.names.index(c)
                j = self.names.index(c, i + 1)
                if self.shape[i] != self.shape[j]:
                    raise RuntimeError(
                        f"einsum(): subscript {c} is repeated for operand {number} but the sizes "
                        f"don't match, {self.shape[j]} != {self.shape[i]}"
                    )
                self.calls.append((diagonal, (0, i, j)))
                self._keep([*(k for k in range(len(self.names)) if k not in (i, j)), i])

    def squeeze(self, sizes):
        """Dims of size 1 that stand for a greater size elsewhere are left out."""
        wide = [k for k, c in enumerate(self.names) if self.shape[k] != 1 or sizes[c] == 1]
        if len(wide) < len(self.names):
            self._keep(wide)
            self.calls.append((reshape, (tuple(self.shape),)))

    def sum(self, kept):
        """Dims whose names are not kept are summed."""
        summed = tuple(k for k, c in enumerate(self.names) if c not in kept)
        if summed:
            self._keep([k for k in range(len(self.names)) if k not in summed])
            self.calls.append((sum, (summed,)))

    def arrange(self, names, shape=None):
        """The dims in another order, and then joined or parted into a shape."""
        order = [self.names.index(c) for c in names]
        self._keep(order)
        if order != sorted(order):
            self.calls.append((permute, (tuple(order),)))
        if shape is not None and list(shape) != self.shape:
            self.calls.append((reshape, (tuple(shape),)))


@lru_cache(MOST)
def _planned(shapes, names, output):
    """(moves of the first operand, (moves, moves, product) for every other, moves of the last)."""
    operands = [Moves(own, shape) for own, shape in zip(names, shapes)]
    for k, operand in enumerate(operands):
        operand.diagonals(k)
    sizes = _sizes(operands)
    for operand in operands:
        operand.squeeze(sizes)
    x = operands[0]
    first, products = x.take(), []
    for k, y in enumerate(operands[1:], start=1):
        kept = set(output).union(*[later.names for later in operands[k + 1 :]])
        products.append((*_product(x, y, kept, sizes),))
    x.sum(set(output))
    x.arrange(output)
    return first, products, x.take()


def _sizes(operands) -> dict:
    """The size of every name; dims of size 1 broadcast to it."""
    sizes: dict = {}
    for k, operand in enumerate(operands):
        for c, n in zip(operand.names, operand.shape):
            if sizes.setdefault(c, n) == 1:
                sizes[c] = n
            elif n not in (1, sizes[c]):
                raise RuntimeError(
                    f"einsum(): subscript {c} has size {n} for operand {k} which does not "
                    f"broadcast with previously seen size {sizes[c]}; need one size for each letter"
                )
    return sizes


def _product(x: Moves, y: Moves, kept, sizes):
    """(moves of x, moves of y, product) for two operands, summed over the names that are not kept.

    x becomes the result.
    """
    x.sum(kept.union(y.names))
    y.sum(kept.union(x.names))
    shared = [c for c in x.names if c in y.names]
    batch = [c for c in shared if c in kept]
    inner = [c for c in shared if c not in kept]
    rows = [c for c in x.names if c not in shared]
    columns = [c for c in y.names if c not in shared]

    def size(names):
        return prod(sizes[c] for c in names)

    left = [sizes[c] for c in batch + rows + columns]
    if inner:
        lead = [size(batch)] if batch else []
        x.arrange(batch + rows + inner, (*lead, size(rows), size(inner)))
        y.arrange(batch + inner + columns, (*lead, size(inner), size(columns)))
        made, product = [*lead, size(rows), size(columns)], matmul
    else:
        x.arrange(batch + rows, [sizes[c] for c in batch + rows] + [1] * len(columns))
        y.arrange(batch + columns, [sizes[c] for c in batch] + [1] * len(rows)
                  + [sizes[c] for c in columns])
        made, product = left, mul
    moves = x.take(), y.take(), product
    x.names, x.shape = batch + rows + columns, left
    if made != left:
        x.calls.append((reshape, (tuple(left),)))
    return moves


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
    if isinstance(dims, str) or len(dims) != 2:
        raise RuntimeError(
            f"tensordot: expects dims to be a number, or two lists of dims; got {dims!r}; give "
            "such as 2, or ([0, 1], [1, 0])"
        )
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
    names = list(range(a.layout.ndim)), [-1 - k for k in range(b.layout.ndim)]
    for i, j in zip(first, second):
        names[1][j] = names[0][i]
    summed = {names[0][i] for i in first}
    output = [c for c in names[0] + names[1] if c not in summed]
    return contracted((a, b), map(tuple, names), output)


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
@counted_as("trace")
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
    required("trace", "numbers", input.layout.dtype)
    return diagonal(input).sum()
