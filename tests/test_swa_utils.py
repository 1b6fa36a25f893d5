"""Averages of weights: means, moving averages, and what comes with them."""

import pytest

import cresset


def averaged(package, **options):
    utils = package.optim.swa_utils
    package.manual_seed(0)
    options = {k: getattr(utils, name)(*args) for k, (name, *args) in options.items()}
    model = package.nn.Sequential(package.nn.Linear(3, 4), package.nn.BatchNorm1d(4))
    optimizer = package.optim.SGD(model.parameters(), lr=0.4)
    average = utils.AveragedModel(model, use_buffers=True, **options)
    schedule = utils.SWALR(optimizer, swa_lr=0.05, anneal_epochs=3)
    rates, data = [], [package.randn(6, 3) for _ in range(5)]
    for x in data:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        average.update_parameters(model)
        schedule.step()
        rates += schedule.get_last_lr()
    utils.update_bn(data, average)
    found = [average(data[0]), average.n_averaged, *average.module.state_dict().values()]
    return rates, [x.detach() for x in found], list(average.state_dict())


@pytest.mark.parametrize("options", (
    {}, {"multi_avg_fn": ("get_ema_multi_avg_fn", 0.9)}, {"avg_fn": ("get_ema_avg_fn", 0.5)},
))
def test_agrees_with_pytorch(torch, options):
    rates, found, names = averaged(cresset, **options)
    expected_rates, expected, expected_names = averaged(torch, **options)
    assert rates == pytest.approx(expected_rates) and names == expected_names
    for got, reference in zip(found, expected, strict=True):
        cresset.testing.assert_close(got, cresset.tensor(reference.numpy()), rtol=1e-4, atol=1e-5)


def test_wrong_settings_are_refused():
    utils = cresset.optim.swa_utils
    model = cresset.nn.Linear(1, 1)
    optimizer = cresset.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="Invalid decay value 2"):
        utils.get_ema_avg_fn(2)
    with pytest.raises(ValueError, match="instead got wild"):
        utils.SWALR(optimizer, 0.1, anneal_strategy="wild")
    with pytest.raises(AssertionError, match="Only one of"):
        utils.AveragedModel(model, avg_fn=print, multi_avg_fn=print)
