"""`compile`: objects that remember calls are what they are in immediate mode."""

import pytest
from compiling import plays, same

import cresset
from cresset import nn
from cresset.nn import functional
from cresset.optim import lr_scheduler


def agree(make, calls=12, played=6):
    """Check that what `make()` gives does as it does when compiled, call by call.

    It gives a function of examples and their classes, and one of what is to be compared after each
    call.
    """
    runs = []
    for wrap in (lambda step: step, cresset.compile):
        cresset.manual_seed(0)
        step, state = make()
        step = wrap(step)
        run = []
        for _ in range(calls):
            result = step(cresset.randn(6, 4), cresset.randint(0, 3, (6,)))
            run.append((result.detach(), *state()))
        runs.append(run)
    for found, expected in zip(*reversed(runs)):
        assert all(
            same(a, b) if isinstance(b, cresset.Tensor) else a == b
            for a, b in zip(found, expected, strict=True)
        )
    assert plays(step) >= played, step.explain()


SCHEDULES = {
    "steps": lambda optimizer: lr_scheduler.StepLR(optimizer, 2, 0.5),
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 10),
    "one cycle": lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=20),
    "a function": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda k: 0.9**k),
    "one after the other": lambda optimizer: lr_scheduler.SequentialLR(
        optimizer,
        [lr_scheduler.ConstantLR(optimizer, 0.1), lr_scheduler.ExponentialLR(optimizer, 0.9)], [4],
    ),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(schedule):
    def make():
        model = nn.Linear(4, 3)
        optimizer = cresset.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        scheduler = SCHEDULES[schedule](optimizer)

        def step(x, y):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            return loss

        return step, lambda: (model.weight.detach().clone(), scheduler.get_last_lr())

    agree(make)


def test_a_schedule_that_looks_at_the_loss():
    def make():
        model = nn.Linear(4, 3)
        optimizer = cresset.optim.SGD(model.parameters(), lr=0.1)
        scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)

        def step(x, y):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step(loss)
            return loss

        return step, lambda: (model.weight.detach().clone(), scheduler.get_last_lr())

    agree(make, played=0)


@pytest.mark.parametrize("unscale", [False, True])
def test_a_scaler_of_gradients(unscale):
    def make():
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 3))
        optimizer = cresset.optim.Adam(model.parameters())
        scaler = cresset.amp.GradScaler("cpu", init_scale=4.0, growth_interval=5)

        def step(x, y):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
            if unscale:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
            return loss

        return step, lambda: (model[0].weight.detach().clone(), scaler.get_scale())

    agree(make)


def test_what_trains_is_told_so_within_the_call():
    def make():
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
        optimizer = cresset.optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            model.train()
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            model.eval()
            with cresset.no_grad():
                return model(x).argmax(1).eq(y).sum()

        def state():
            trains = [part.training for part in model.modules()]
            # What others say in between does not last.
            model.train()
            return model[0].weight.detach().clone(), model[1].running_mean.clone(), trains

        return step, state

    agree(make)


def test_parameters_that_others_stand_for():
    def make():
        model = nn.Linear(4, 3)
        given = {name: p.detach().clone() for name, p in model.named_parameters()}

        def loss(given, x, y):
            out = cresset.func.functional_call(model, given, (x,))
            return functional.cross_entropy(out, y)

        def step(x, y):
            gradients = cresset.func.grad(loss)(given, x, y)
            for name, gradient in gradients.items():
                given[name].sub_(gradient * 0.1)
            return gradients["bias"] + model(x).detach().sum(0)

        return step, lambda: (given["weight"].clone(),)

    agree(make)


def test_an_optimizer_that_is_made_within_the_call():
    def make():
        w = cresset.ones(4, requires_grad=True)

        def step(x, y):
            optimizer = cresset.optim.SGD([w], lr=0.1, momentum=0.9)
            w.grad = None
            loss = (x * w).square().sum()
            loss.backward()
            optimizer.step()
            optimizer.step()
            return loss

        return step, lambda: (w.detach().clone(),)

    agree(make, played=0)
