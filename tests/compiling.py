"""What the tests of `compile` share."""

import cresset


def leaf(*values):
    return cresset.tensor(values, requires_grad=True)


def training_step(model, optimizer):
    """A function that makes a step on some examples and their classes; returns the loss."""

    def step(x, y):
        optimizer.zero_grad()
        loss = cresset.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def plays(compiled):
    """How many calls of a compiled function were played."""
    return sum(variant.plays for variant in compiled._variants)


def same(found, expected):
    """Whether nested results are equal to the bit, layouts included."""
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, dict):
        return same(list(found.values()), list(expected.values()))
    if expected is None:
        return found is None
    if expected.layout is not found.layout or expected.requires_grad != found.requires_grad:
        return False
    return cresset.equal(*(x.detach().reshape(-1).view(cresset.uint8) for x in (found, expected)))


def with_gradients(function, parameters):
    """The function, which returns the gradients of the sum of its results as well."""

    def call(*args):
        made = function(*args)
        leaves = made if isinstance(made, (list, tuple)) else [made]
        sum((x * x).sum() for x in leaves if x.requires_grad).backward()
        gradients = [x.grad for x in parameters]
        for x in parameters:
            x.grad = None
        return [x.detach() for x in leaves], gradients

    return call
