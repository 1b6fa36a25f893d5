"""Devices: their names, the default one, and the truth about those that are not here."""

import pickle
import threading

import pytest
from agreement import tensor_of
from sample import built, run
from samples import SAMPLES

import cresset
from cresset import device

BY_NAME: dict = {}
for _sample in SAMPLES:
    if _sample.operands and _sample.leads:
        BY_NAME.setdefault(_sample.name, []).append(_sample)


def test_names():
    assert repr(device("cpu")) == "device(type='cpu')" and str(device("cuda:1")) == "cuda:1"
    assert repr(device("cuda", 1)) == "device(type='cuda', index=1)"
    assert device("cpu:0") == device("cpu", 0) != device("cpu") == device(device("cpu"))
    assert device("cpu") != "cpu" and hash(device("cpu")) == hash(device("cpu"))
    assert device(type="cuda", index=2).index == 2 and device("cpu").index is None
    assert pickle.loads(pickle.dumps(device("cuda:1"))) == device("cuda:1")


@pytest.mark.parametrize("name, problem", [
    ("foo", "Expected one of cpu, cuda"), ("", "Expected one of"), (0, "when none is available"),
    ("cpu:-1", "Invalid device string"), ("cpu:x", "Invalid device string"),
])
def test_names_of_none(name, problem):
    with pytest.raises(RuntimeError, match=problem):
        device(name)


def test_tensors_tell_where_they_are():
    x = cresset.ones(2, device="cpu:0")
    assert x.device == device("cpu") and x.is_cpu and x.get_device() == -1
    assert not (x.is_cuda or x.is_mps or x.is_xpu or x.is_meta or x.is_pinned())
    assert x.cpu() is x and x.to("cpu") is x and x.to(device("cpu:0")) is x


def test_devices_that_are_not_here():
    x = cresset.ones(2)
    for call in (x.cuda, lambda: x.to("cuda"), lambda: x.to(device("cuda", 1)),
                 lambda: cresset.zeros(2, device="cuda"), lambda: cresset.tensor(1, device="cuda"),
                 lambda: cresset.empty_like(x, device="cuda")):
        with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
            call()
    with pytest.raises(RuntimeError, match="MPS"):
        x.to("mps")
    with pytest.raises(RuntimeError, match="when none is available"):
        x.to(0)
    with pytest.raises(RuntimeError, match="Cannot access accelerator device"):
        x.pin_memory()


def test_default_device():
    assert cresset.get_default_device() == device("cpu")
    with device("meta") as where:
        assert cresset.get_default_device() == where == device("meta")
        made = (cresset.zeros(2), cresset.tensor([1]), cresset.rand(2), cresset.arange(3),
                cresset.as_tensor([1]), cresset.nn.Linear(2, 2).weight)
        assert all(x.is_meta for x in made)
        x = cresset.zeros(2, device="cpu")
        assert x.is_cpu and cresset.empty_like(x).is_cpu and x.new_zeros(2).is_cpu
        with device("cpu"):
            assert cresset.zeros(2).is_cpu
        assert cresset.zeros(2).is_meta
    assert cresset.zeros(2).is_cpu
    cresset.set_default_device("meta")
    try:
        assert cresset.ones(2).is_meta
    finally:
        cresset.set_default_device(None)
    assert cresset.ones(2).is_cpu


def test_cuda_answers_truthfully():
    cuda = cresset.cuda
    assert not cuda.is_available() and cuda.device_count() == 0 and not cuda.is_initialized()
    assert not cuda.is_bf16_supported() and cuda.memory_allocated() == 0
    cuda.manual_seed_all(0)
    cuda.empty_cache()
    for name in ("set_device", "synchronize", "current_device", "get_device_name", "Event"):
        with pytest.raises(AssertionError, match=f"cuda.{name}: Torch not compiled with CUDA"):
            getattr(cuda, name)()
    assert not isinstance(cresset.ones(2), cuda.FloatTensor)
    assert issubclass(cuda.OutOfMemoryError, RuntimeError)


def test_other_devices_answer_truthfully():
    assert not (cresset.xpu.is_available() or cresset.mps.is_available())
    assert not cresset.accelerator.is_available() and cresset.accelerator.device_count() == 0
    assert cresset.accelerator.current_accelerator() is None
    with pytest.raises(RuntimeError, match="when none is available"):
        cresset.accelerator.set_device_index(0)
    assert cresset.version.cuda is None and cresset.version.__version__ == cresset.__version__


def test_switches_can_be_set():
    backends = cresset.backends
    backends.cudnn.benchmark = True
    with backends.cudnn.flags(enabled=False, benchmark=False):
        assert not backends.cudnn.enabled
    assert backends.cudnn.enabled and backends.cudnn.benchmark
    backends.cudnn.benchmark = False
    backends.cuda.matmul.allow_tf32 = True
    backends.cuda.enable_flash_sdp(False)
    assert not backends.cuda.flash_sdp_enabled()
    backends.cuda.enable_flash_sdp(True)
    assert not (backends.mps.is_available() or backends.cudnn.is_available())


def test_the_default_device_is_the_thread_s_own():
    seen = []

    def look():
        seen.append(cresset.ones(2).device)
        with device("meta"):
            seen.append(cresset.ones(2).device)

    with device("meta"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert cresset.ones(2).is_meta
    assert seen == [device("cpu"), device("meta")]


@pytest.mark.parametrize("name", BY_NAME)
def test_operations_stay_with_their_operands(name):
    """Whatever the default device is: helpers are made where the operands are."""
    for sample in BY_NAME[name]:
        operands = built(sample, "float32")
        expected = run(sample, cresset, operands)
        if isinstance(expected, Exception):
            continue
        tensors = [tensor_of(cresset, a) for a in operands]
        with device("meta"):
            result = sample.call(cresset, tensors)
        for part in result if isinstance(result, (tuple, list)) else (result,):
            assert not isinstance(part, cresset.Tensor) or part.is_cpu


def test_moving_to_meta_is_recorded():
    x = cresset.ones(2, 3, requires_grad=True)
    moved = x.to("meta", cresset.float64)
    assert moved.is_meta and moved.requires_grad and moved.dtype is cresset.float64
    assert repr(moved.grad_fn) == "<ToCopyBackward0>"
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        moved.sum().backward()
    with cresset.no_grad():
        assert not x.to("meta").requires_grad


def test_memory_is_not_pinned(torch):
    calls = ("zeros(2, pin_memory=True)", "empty(2, pin_memory=True)", "rand(2, pin_memory=True)",
             "tensor([1], pin_memory=True)", "zeros_like(p.zeros(2), pin_memory=True)",
             "arange(2, pin_memory=True)", "randint(3, (2,), pin_memory=True)",
             "ones(2).new_zeros(2, pin_memory=True)", "eye(2, pin_memory=True)")
    for package in (torch, cresset):
        for call in calls:
            with pytest.raises(RuntimeError, match="pin_memory=True requires a CUDA"):
                eval(f"p.{call}", {"p": package})
        assert package.zeros(2, device="meta", pin_memory=True).is_meta


def test_sizes_are_integers_also_the_second_time():
    """2.0 == 2, but asks for no tensor that 2 asks for."""
    assert cresset.zeros(2).shape == cresset.zeros(2, pin_memory=False).shape == (2,)
    for wrong in (lambda: cresset.zeros(2.0), lambda: cresset.ones((2.0,)),
                  lambda: cresset.rand(2.0), lambda: cresset.ones(2).as_strided((2.0,), (1,)),
                  lambda: cresset.diagflat(cresset.ones(7), 0.0)):
        with pytest.raises(TypeError):
            wrong()


def test_ways_to_compute_attention_are_switched_for_a_while():
    from cresset.nn.attention import SDPBackend, sdpa_kernel

    enabled = cresset.backends.cuda.flash_sdp_enabled
    with sdpa_kernel(SDPBackend.MATH):
        assert not enabled() and cresset.backends.cuda.math_sdp_enabled()
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]):
            assert enabled() and not cresset.backends.cuda.math_sdp_enabled()
        assert not enabled()
    assert enabled()
    with pytest.raises(TypeError, match="^sdpa_kernel: Backend must be an instance of SDPBackend"):
        with sdpa_kernel(["math"]):
            pass
    assert cresset.nn.attention.SDPBackend.MATH == 0
