"""Kernels touch no byte outside of their operands, which lie between forbidden pages here.

A kernel that reads or writes too far kills its process, so each program runs in one of its own.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from steps import guarded, layout

import cresset
from cresset.runtime import native

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 47, 63, 64, 65, 70)
TYPES = ("float32", "float64", "float16", "int64", "int32", "int8", "uint8", "bool")


def tensor(array, low=False):
    """A tensor whose memory ends (or begins) at a forbidden page."""
    array = guarded(np.asarray(array), low)
    return native.adopt(layout(array), array.ctypes.data, array.nbytes, array)


def values(shape, dtype="float32", seed=0):
    """Numbers around zero in a shape."""
    made = np.random.default_rng(seed).integers(-9, 10, shape)
    return (made > 0 if dtype == "bool" else np.abs(made) if dtype == "uint8" else made
            ).astype(dtype)


def same(got, expected):
    np.testing.assert_allclose(got.numpy(), expected, 1e-5, 1e-5)


def both_ends(program, sizes=SIZES):
    """Run program(size, low) with operands at either end of their pages."""
    for size, low in itertools.product(sizes, (False, True)):
        program(size, low)


# --- what runs in processes of their own ----------------------------------------------------------
def elementwise():
    def program(size, low):
        for dtype in TYPES[:-1]:
            a, b, c = (values(size, dtype, k) for k in range(3))
            x, y, z = (tensor(v, low) for v in (a, b, c))
            out = tensor(np.zeros(size, dtype), low)
            same(cresset.neg(x, out=out), -a)
            same(cresset.add(x, y, out=out), a + b)
            same(cresset.where(z > 0, x, y), np.where(c > 0, a, b))
            same(x.mul_(y), a * b)
            same(x.addcmul_(y, z), a * b + b * c)
            same(cresset.gt(y, z, out=tensor(np.zeros(size, bool), low)), b > c)

    both_ends(program, SIZES[::2])


def broadcast():
    def program(size, low):
        a, row, column = values((3, size)), values(size, seed=1), values((3, 1), seed=2)
        out = tensor(np.zeros((3, size), "f4"), low)
        same(cresset.add(tensor(a, low), tensor(row, low), out=out), a + row)
        same(cresset.mul(tensor(a, low), tensor(column, low), out=out), a * column)
        same(cresset.mul(tensor(row, low), tensor(column, low), out=out), row * column)

    both_ends(program)


def mathematics():
    def program(size, low):
        for dtype in ("float32", "float64"):
            a = np.abs(values(size, dtype)) + 1
            for name in ("exp", "log", "sin", "tanh", "sqrt", "erf", "rsqrt"):
                out = tensor(np.zeros(size, dtype), low)
                getattr(cresset, name)(tensor(a, low), out=out)
                if hasattr(np, name):
                    np.testing.assert_allclose(out.numpy(), getattr(np, name)(a), 1e-4)

    both_ends(program, SIZES[::3])


def casts():
    def program(size, low):
        for source, target in itertools.product(TYPES, TYPES):
            a = np.abs(values(size, source).astype("i1")).astype(source)
            out = tensor(np.zeros(size, target), low)
            same(out.copy_(tensor(a, low)), a.astype(target))

    both_ends(program, (1, 7, 17, 70))


def misaligned():
    """Starts at every element of a vector, ends at the page."""
    types = ("float32", "int8", "float64")
    for dtype, start, size in itertools.product(types, range(9), (1, 16, 33)):
        a = values(size + start, dtype)
        x = tensor(a)
        out = tensor(np.zeros(size + start, dtype))
        same(cresset.add(x[start:], x[start:], out=out[start:]), a[start:] + a[start:])
        same(x[start:].mul_(2), a[start:] * 2)
        same(x[start:].sum(), (a[start:] * 2).sum(dtype="i8" if dtype == "int8" else "f8"))


def strided_copies():
    def program(size, low):
        for dtype in ("float32", "int8", "float16", "float64"):
            a = values((size, 5), dtype)
            x = tensor(a, low)
            same(tensor(np.zeros((5, size), dtype), low).copy_(x.t()), a.T)
            same(x.t().contiguous(), a.T)
            b = values(2 * size - 1, dtype)
            same(tensor(np.zeros(size, dtype), low).copy_(tensor(b, low)[::2]), b[::2])
            out = tensor(np.zeros(2 * size - 1, dtype), low)
            out[::2].copy_(tensor(b[:size], low))
            same(out[::2], b[:size])
            cube = values((3, size, 2), dtype)
            turned = tensor(np.zeros((2, size, 3), dtype), low)
            same(turned.copy_(tensor(cube, low).permute(2, 1, 0)), cube.transpose(2, 1, 0))

    both_ends(program, SIZES[::2])


def turned():
    def program(size, low):
        for dtype in ("float32", "int8", "float16", "float64"):
            a, b = values((size, 37), dtype), values((37, size), dtype, seed=1)
            x, out = tensor(a, low), tensor(np.zeros((37, size), dtype), low)
            same(cresset.add(x.t(), tensor(b, low), out=out), a.T + b)
            same(out.copy_(x.t()), a.T)
            same(out.add_(x.t()), a.T + a.T)
            same(out.copy_(x.t().flip(1)), a.T[:, ::-1])

    both_ends(program, (16, 17, 31, 63, 64, 65, 70))


def columns():
    def program(size, low):
        a = values((size, 45))
        x = tensor(a, low)
        same(x.sum(0), a.sum(0))
        same(x.argmax(0), a.argmax(0))
        e = np.exp(a - a.max(0))
        same(cresset.softmax(x, 0), e / e.sum(0))
        same(x.std(0, correction=0), a.std(0))

    both_ends(program, SIZES[::3])


def reductions():
    def program(size, low):
        for dtype in ("float32", "float64", "int64"):
            a = values((3, size), dtype)
            x = tensor(a, low)
            for dim in (0, 1, None):
                same(x.sum() if dim is None else x.sum(dim), a.sum(dim))
                same(x.amax() if dim is None else x.amax(dim), a.max(dim))
                same(x.argmax(dim), a.argmax(dim))
                same(x.argmin(dim), a.argmin(dim))
            same(x.t().sum(0), a.T.sum(0))
            same(x[:, ::2].sum(1), a[:, ::2].sum(1))
            same(tensor(a[0], low).sum(), a[0].sum())

    both_ends(program, SIZES[::3])


def rows():
    def program(size, low):
        a = values((3, size))
        e = np.exp(a - a.max(1, keepdims=True))
        soft = e / e.sum(1, keepdims=True)
        x, weight, bias = tensor(a, low), tensor(np.ones(size, "f4"), low), tensor(a[0], low)
        same(cresset.softmax(x, 1), soft)
        same(cresset.softmax(tensor(a.T, low), 0), soft.T)
        np.testing.assert_allclose(cresset.log_softmax(x, 1).numpy(), np.log(soft), 1e-3, 1e-4)
        normal = (a - a.mean(1, keepdims=True)) / np.sqrt(a.var(1, keepdims=True) + 1e-5)
        got = cresset.layer_norm(x, (size,), weight, bias).numpy()
        np.testing.assert_allclose(got, normal + a[0], 1e-3, 1e-3)

    both_ends(program, SIZES[::2])


def gradients():
    def program(size, low):
        x = tensor(values((3, size)), low).requires_grad_()
        weight = tensor(np.ones(size, "f4"), low).requires_grad_()
        g = tensor(values((3, size), seed=1), low)
        (x * weight).tanh().backward(g)
        cresset.softmax(x, 1).backward(g)
        cresset.log_softmax(x, 1).backward(g)
        cresset.layer_norm(x, (size,), weight).backward(g)
        x.t()[::2].sum().backward()

    both_ends(program, SIZES[::3])


def products():
    for m, n, k, low in itertools.product((1, 5, 17), (1, 9, 33), (1, 8, 31), (False, True)):
        a, b = values((m, k)), values((k, n), seed=1)
        same(tensor(a, low) @ tensor(b, low), a @ b)
        same(tensor(a.T, low).t() @ tensor(b.T, low).t(), a @ b)


def attention():
    sizes = itertools.product((4, 17), (3, 70), (1, 33), (False, True))
    for queries, keys, width, low in sizes:
        q, k, v = values((2, queries, 3)), values((2, keys, 3), seed=1), values((2, keys, width))
        mask = values((queries, keys), "bool", seed=2)
        score = np.where(mask, q @ k.swapaxes(1, 2), -1e30)
        weights = np.exp(score - score.max(-1, keepdims=True))
        weights *= mask
        weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-30)
        x, y, z = (tensor(a, low).requires_grad_() for a in (q, k, v))
        attend = cresset.nn.functional.scaled_dot_product_attention
        out = attend(x, y, z, tensor(mask, low), scale=1.0)
        np.testing.assert_allclose(out.detach().numpy(), weights @ v, 1e-4, 1e-4)
        out.backward(tensor(np.ones(out.shape, "f4"), low))
        attend(x, y, z, is_causal=True).backward(tensor(np.ones(out.shape, "f4"), low))


def gathering():
    def program(size, low):
        a = values((size, 3))
        index = np.arange(size)[::-1].copy()
        same(tensor(a, low)[tensor(index, low)], a[index])
        same(tensor(a, low).gather(0, tensor(index[:, None], low)), a[index][:, :1])
        same(cresset.cat([tensor(a, low), tensor(a, low)]), np.concatenate([a, a]))

    both_ends(program, SIZES[::3])


def updates():
    def program(size, low):
        for make in (
            lambda p: cresset.optim.SGD(p, lr=0.1, momentum=0.9),
            lambda p: cresset.optim.Adam(p, lr=0.1),
        ):
            parameters = [tensor(values(n), low).requires_grad_() for n in (size, 1, size + 3)]
            optimizer = make(parameters)
            for _ in range(2):
                for p in parameters:
                    p.grad = tensor(np.ones(p.shape, "f4"), low)
                optimizer.step()
            assert all(bool(cresset.isfinite(p.detach()).all()) for p in parameters)

    both_ends(program, SIZES[::3])


def complex_numbers():
    def program(size, low):
        for dtype in ("complex64", "complex128"):
            a, b = (values(size, dtype, k) + values(size, dtype, 7) * 1j for k in range(2))
            a, b = a.astype(dtype), b.astype(dtype)
            x, y = tensor(a, low), tensor(b, low)
            out = tensor(np.zeros(size, dtype), low)
            same(cresset.mul(x, y, out=out), a * b)
            same(x.real + y.imag, a.real + b.imag)
            same(out.copy_(x).mul_(y), a * b)
            same(x.conj().sum(), a.conj().sum())
            same(x.cumsum(0), a.cumsum())
            same(tensor(a[:, None] * b, low).t().contiguous(), (a[:, None] * b).T)
            same(tensor(a[:, None] * b, low) @ y, (a[:, None] * b) @ b)
            same(x[cresset.arange(size)], a)

    both_ends(program, SIZES[::3])


PROGRAMS = {f.__name__: f for f in (elementwise, broadcast, mathematics, casts, misaligned,
                                    strided_copies, turned, columns, reductions, rows, gradients,
                                    products, attention, gathering, updates, complex_numbers)}


def run_alone(name, file=__file__):
    """Run a program of a file in a process of its own, which finds the package as we do."""
    root = str(Path(__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", str(file), name], cwd=root, timeout=600,
        env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True,
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_outside_is_touched(name):
    run = run_alone(name)
    assert run.returncode == 0, f"exit {run.returncode}\n{run.stderr[-3000:]}"
    assert run.stdout == "done\n"


@pytest.mark.parametrize("table", ["samples", "families"])
def test_nothing_outside_is_touched_in_a_guarded_heap(table):
    """Operands, results and temporaries alike, of all samples and of every family of kernels."""
    run = run_alone(table, Path(__file__).with_name("guarded.py"))
    last = "\n".join(run.stdout.splitlines()[-10:])
    assert run.returncode == 0, f"exit {run.returncode} in\n{last}\n{run.stderr[-3000:]}"
    assert last.endswith("done")


def test_guards_hold():
    """Reading one byte too far ends a process, else all of the above shows nothing."""
    assert run_alone("trespass").returncode < 0


def trespass():
    x = tensor(np.zeros(5, "f4"))
    native.adopt(layout(np.zeros(6, "f4")), x.data_ptr(), 24, x).sum()


if __name__ == "__main__":
    (PROGRAMS | {"trespass": trespass})[sys.argv[1]]()
    print("done")
