"""Pictures: what they show, that all of it can be read, and how a browser renders them."""

import json
import re
import shutil
import subprocess
import time
import zlib
from itertools import combinations
from xml.etree import ElementTree

import pytest

import cresset
from cresset.pictures import Picture
from cresset.pictures.color import (
    DARK_INK,
    DARK_PAPER,
    FAINT,
    LIGHT_INK,
    LIGHT_PAPER,
    TINT,
    contrast,
    over,
    ramp,
)
from cresset.pictures.memory import Memory, View
from cresset.pictures.scene import Curve, Rectangle, Text, width_of

SVG = "{http://www.w3.org/2000/svg}"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium to render with")


def views():
    """Views over one storage: whole, transposed, a row of it."""
    points = cresset.tensor([[1, 2], [3, 4], [5, 6]])
    return {"points": points, "transposed": points.t(), "second": points[1]}


def neuron():
    x = cresset.tensor([1.0, 2.0, 3.0])
    w, b = (cresset.tensor(k, requires_grad=True) for k in (0.5, -1.0))
    return cresset.tanh(w * x + b), {"w": w, "b": b}


def network():
    """The loss of a small network whose layers are used twice, with penalties."""
    layers = cresset.nn.Sequential(
        cresset.nn.Linear(8, 16), cresset.nn.ReLU(), cresset.nn.Linear(16, 4)
    )
    x = cresset.ones(5, 8)
    out = layers(x) + 0.1 * layers(2 * x)
    penalty = sum((p**2).sum() for p in layers.parameters())
    loss = cresset.nn.functional.cross_entropy(out, cresset.tensor([0, 1, 2, 3, 0])) + penalty
    return loss, {f"p{k}": p for k, p in enumerate(layers.parameters())}


def chain(length):
    w = y = cresset.tensor(0.5, requires_grad=True)
    for _ in range(length):
        y = (y * w).sin()
    return y, {"w": w}


def compiled_step():
    """A training step as it is played, with a look before and a call that is made anew."""
    model = cresset.nn.Sequential(cresset.nn.Linear(8, 16), cresset.nn.ReLU())
    optimizer = cresset.optim.SGD(model.parameters(), lr=0.1)

    @cresset.compile
    def step(x):
        if x.isnan().any():
            return x
        optimizer.zero_grad()
        loss = (model(x) * 3 + 1).exp().cumsum(0).mean()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        step(cresset.ones(2, 8))
    return step, {"first": model[0].weight}


def compiled_model():
    model = cresset.nn.Sequential(cresset.nn.Linear(8, 16), cresset.nn.Tanh())
    compiled = cresset.compile(model)
    for _ in range(2):
        compiled(cresset.ones(2, 8))
    return compiled, {}


def graph_of(made):
    result, names = made
    return cresset.draw_graph(result, **names)


PICTURES = {
    "views": lambda: cresset.draw(**views()),
    "no dims": lambda: cresset.draw(cresset.tensor(2.5)),
    "no elements": lambda: cresset.draw(cresset.zeros(0, 3), named=cresset.zeros(2, 0)),
    "three dims": lambda: cresset.draw(cresset.arange(24.0).reshape(2, 3, 4)),
    "four dims": lambda: cresset.draw(big=cresset.arange(24).reshape(2, 3, 2, 2) * 11**12),
    "five dims": lambda: cresset.draw(cresset.zeros(4, 2, 5, 2, 30)),
    "steps": lambda: cresset.draw(cresset.arange(100)[10:90:3]),
    "expanded": lambda: cresset.draw(cresset.tensor([1.0, 2, 3]).expand(4, 3)),
    "large": lambda: (lambda x: cresset.draw(x=x, window=x[500:510, 100:104]))(
        cresset.arange(300_000.0).sub(150_000).div(7).reshape(1000, 300)
    ),
    "types": lambda: cresset.draw(
        *(cresset.tensor([1, 0, 1], dtype=d) for d in (cresset.bool, cresset.uint8)),
        cresset.tensor([float("nan"), -float("inf"), 1e-30, -1.5e300], dtype=cresset.float64),
        cresset.tensor([-(2**63), 2**63 - 1]),
    ),
    "with gradients": lambda: cresset.draw(neuron()[0], **neuron()[1]),
    "neuron": lambda: graph_of(neuron()),
    "network": lambda: graph_of(network()),
    "long chain": lambda: graph_of(chain(40)),
    "compiled step": lambda: graph_of(compiled_step()),
    "compiled model": lambda: graph_of(compiled_model()),
}


@pytest.fixture(params=PICTURES)
def picture(request):
    return PICTURES[request.param]()


def texts(picture):
    return [shape for shape in picture.scene.shapes if isinstance(shape, Text)]


def boxes(picture):
    return [shape for shape in picture.scene.shapes if isinstance(shape, Rectangle)]


def meet(a, b):
    """Whether two boxes have more in common than an edge."""
    slack = 0.05
    return (a.left < b.right - slack and b.left < a.right - slack
            and a.top < b.bottom - slack and b.top < a.bottom - slack)


def within(inner, outer):
    slack = 0.05
    return (inner.left >= outer.left - slack and inner.right <= outer.right + slack
            and inner.top >= outer.top - slack and inner.bottom <= outer.bottom + slack)


# --- every picture --------------------------------------------------------------------------------
def test_everything_is_on_the_page(picture):
    page = Rectangle(0, 0, picture.width, picture.height).box()
    outside = [shape for shape in picture.scene.shapes if not within(shape.box(), page)]
    assert not outside
    assert picture.width < 1200


def test_nothing_covers_anything(picture):
    """Texts stand alone or in one box, boxes stand apart."""
    assert not [(a, b) for a, b in combinations(texts(picture), 2) if meet(a.box(), b.box())]
    assert not [(a, b) for a, b in combinations(boxes(picture), 2) if meet(a.box(), b.box())]
    for text in texts(picture):
        for box in boxes(picture):
            if meet(text.box(), box.box()):
                assert within(text.box(), box.box()), (text, box)


@pytest.mark.parametrize(("ink", "paper"), [(LIGHT_INK, LIGHT_PAPER), (DARK_INK, DARK_PAPER)],
                         ids=["light", "dark"])
def test_all_text_can_be_read(picture, ink, paper):
    for text in texts(picture):
        below = paper
        for box in boxes(picture):
            if box.color and meet(text.box(), box.box()):
                below = over(box.color, TINT, paper)
        seen = over(ink, FAINT, below) if text.faint else ink
        assert contrast(seen, below) > 4.5, text


def test_a_picture_is_an_svg_document(picture):
    root = ElementTree.fromstring(picture.svg)
    assert root.tag == SVG + "svg"
    assert root.findtext(SVG + "title") == picture.title
    written = [element.text for element in root.iter(SVG + "text")]
    assert written == [text.content for text in texts(picture)]
    numbers = ("x", "y", "width", "height", "d", "points", "viewBox")
    for element in root.iter():
        spelled = " ".join(element.get(name, "") for name in numbers)
        assert not re.search("nan|inf|e[+-]", spelled)


# --- tensors --------------------------------------------------------------------------------------
def test_a_tensor_is_defined_by_what_the_picture_says():
    written = [text.content for text in texts(cresset.draw(**views()))]
    for name, x in views().items():
        assert name in written
        assert str(tuple(x.shape)) in written
        assert str(x.stride()) in written
    assert written.count("offset 0") == 2
    assert written.count("offset 2") == 1
    assert written.count("stride 2 along dim 0") == written.count("stride 2 along dim 1") == 1
    assert written.count("storage") == 1
    assert "6 × int64 = 48 bytes" in written


def test_an_element_has_one_color_wherever_it_is_seen():
    picture = cresset.draw(**views())
    colors = {}
    for box in boxes(picture):
        for text in texts(picture):
            if box.color and meet(box.box(), text.box()):
                colors.setdefault(text.content, []).append(box.color)
    assert [len(colors[str(k)]) for k in range(1, 7)] == [3, 3, 4, 4, 3, 3]
    assert all(len(set(colors[str(k)])) == 1 for k in range(1, 7))
    assert len({colors[str(k)][0] for k in range(1, 7)}) == 6


def test_storages_that_are_not_shared_are_apart():
    x = cresset.ones(2)
    written = [text.content for text in texts(cresset.draw(x, x.clone(), x[:1]))]
    assert written.count("storage") == 2


def test_a_view_owns_its_places_alone():
    x = cresset.arange(60).reshape(3, 4, 5)
    for y in (x, x.permute(2, 0, 1), x[1], x[:, 1:3, ::2], x[::2, 3], x[:, :1].expand(3, 4, 5)):
        own = {int(place) for place in y.flatten().tolist()}
        assert {place for place in range(60) if View("", y).owns(place)} == own


def test_of_a_large_storage_the_places_that_matter_are_shown():
    x = cresset.zeros(1000, 300)
    places = Memory([View("", x), View("", x[500:, 7:])]).places
    for place in (0, 1, 300, 150_007, 150_008, 150_307, 299_999):
        assert place in places
    assert len(places) < 30


def test_drawing_reads_no_more_than_it_shows():
    x = cresset.tensor(0.5).expand(10**7, 10**7)
    start = time.perf_counter()
    assert len(cresset.draw(x).svg) < 50_000
    assert time.perf_counter() - start < 1


def test_a_tensor_draws_itself_in_notebooks():
    x = cresset.tensor([[1, 2], [3, 4]])
    page = x._repr_html_()
    assert page.startswith("<pre>tensor([[1, 2],\n        [3, 4]])</pre>\n<svg ")
    assert "&lt;AddBackward0&gt;" in (cresset.ones(1, requires_grad=True) + 1)._repr_html_()
    assert cresset.draw(x)._repr_svg_() == cresset.draw(x).svg


def test_drawing_changes_nothing():
    x = cresset.ones(3, requires_grad=True) * 2
    node, version = x.grad_fn, x._version
    cresset.draw(x=x)
    assert x.grad_fn is node
    assert x._version == version


def test_a_picture_is_saved(tmp_path):
    picture = cresset.draw(π=cresset.tensor(3.14))
    picture.save(tmp_path / "pi.svg")
    assert (tmp_path / "pi.svg").read_text(encoding="utf-8") == picture.svg + "\n"


def test_what_cannot_be_drawn():
    with pytest.raises(TypeError, match="nothing to draw"):
        cresset.draw()
    with pytest.raises(TypeError, match="got list for x; make a tensor"):
        cresset.draw(x=[1, 2])
    with pytest.raises(RuntimeError, match="no history.*requires_grad_"):
        cresset.draw_graph(cresset.ones(2))
    with pytest.raises(TypeError, match="got int"):
        cresset.draw_graph(3)


# --- graphs ---------------------------------------------------------------------------------------
def test_a_graph_has_the_operations_and_what_they_were_made_of():
    picture = graph_of(neuron())
    written = [text.content for text in texts(picture)]
    assert sorted(written) == sorted(
        ["w", "()", "b", "()", "tensor", "(3,)", "Mul", "(3,)", "Add", "(3,)", "Tanh", "(3,)"]
    )
    assert len([shape for shape in picture.scene.shapes if isinstance(shape, Curve)]) == 5


def bezier(curve):
    """Points on a curve."""
    (x0, y0), *rest = curve.points
    for k in range(0, len(rest), 3):
        (x1, y1), (x2, y2), (x3, y3) = rest[k : k + 3]
        for n in range(21):
            t, s = n / 20, 1 - n / 20
            yield (s**3 * x0 + 3 * s * s * t * x1 + 3 * s * t * t * x2 + t**3 * x3,
                   s**3 * y0 + 3 * s * s * t * y1 + 3 * s * t * t * y2 + t**3 * y3)
        x0, y0 = x3, y3


@pytest.mark.parametrize("make", [neuron, network, lambda: chain(5)])
def test_edges_lead_down_around_the_boxes(make):
    picture = graph_of(make())
    for curve in picture.scene.shapes:
        if isinstance(curve, Curve):
            points = list(bezier(curve))
            assert all(a[1] <= b[1] for a, b in zip(points, points[1:]))
            for box in boxes(picture):
                left, top, right, bottom = box.box()
                assert not [
                    (x, y) for x, y in points
                    if left + 1 < x < right - 1 and top + 1 < y < bottom - 1
                ]


def test_of_a_long_history_the_end_is_drawn():
    y, names = chain(20_000)
    start = time.perf_counter()
    written = [text.content for text in texts(cresset.draw_graph(y, **names))]
    assert time.perf_counter() - start < 2
    assert written.count("Sin") == 20
    assert "earlier operations" in written


def test_results_with_parts_are_one_operation():
    x = cresset.ones(4, 2, requires_grad=True)
    first, second = x.split(2)
    written = [text.content for text in texts(cresset.draw_graph((first * second).sum()))]
    assert written.count("Split") == 1


def test_a_play_is_drawn_with_its_launches_and_cuts():
    compiled, names = compiled_step()
    written = [text.content for text in texts(cresset.draw_graph(compiled, **names))]
    assert written.count("first") == 1
    assert "(16, 8) float32, 512 bytes" in written
    assert "kept: (16, 8) float32, 512 bytes" in written
    assert "is it False?" in written and "SGD.step" in written
    assert any("mul + add + exp" in text for text in written)
    assert any(re.fullmatch(r"test_pictures.py:\d+", text) for text in written)
    # A look is made before what depends on it, and a call after what it reads.
    place = {text.content: text.y for text in texts(cresset.draw_graph(compiled, **names))}
    assert place["is it False?"] < place["linear"] < place["SGD.step"]


def test_a_module_that_is_compiled_is_drawn_with_its_names():
    compiled, _ = compiled_model()
    written = [text.content for text in texts(cresset.draw_graph(compiled))]
    assert "0.weight" in written and "0.bias" in written


def test_what_is_not_recorded_is_not_drawn():
    with pytest.raises(RuntimeError, match="nothing has been recorded of <lambda>"):
        cresset.draw_graph(cresset.compile(lambda x: x + 1))


# --- in a browser ---------------------------------------------------------------------------------
def browse(folder, name, content, *options):
    """What a browser makes of a file."""
    path = folder / name
    path.write_text(content, encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               f"--user-data-dir={folder / 'profile'}", *options, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@needs_browser
def test_texts_are_as_wide_as_was_reckoned(tmp_path):
    """The boxes that the other tests go by are those of a browser."""
    pictures = [PICTURES[name]() for name in ("views", "large", "types", "network")]
    script = """<script>
        const all = [...document.querySelectorAll('text')].map(t => {
            const box = t.getBBox();
            return [t.textContent, +t.getAttribute('font-size'), box.width];
        });
        document.body.textContent = JSON.stringify(all);
    </script>"""
    page = f"<html><body>{''.join(p.svg for p in pictures)}{script}</body></html>"
    printed = browse(tmp_path, "page.html", page, "--dump-dom")
    measured = json.loads(re.search(r"<body>(.*)</body>", printed, re.DOTALL)[1])
    assert len(measured) == sum(len(texts(p)) for p in pictures)
    for content, size, width in measured:
        assert width <= width_of(content, size) * 1.02 + 1, content


@needs_browser
@pytest.mark.parametrize(("scheme", "paper"), [(1, LIGHT_PAPER), (0, DARK_PAPER)],
                         ids=["light", "dark"])
def test_paper_follows_the_scheme(tmp_path, scheme, paper):
    picture = PICTURES["views"]()
    shot = tmp_path / "picture.png"
    browse(tmp_path, "picture.svg", picture.svg, f"--blink-settings=preferredColorScheme={scheme}",
           f"--window-size={int(picture.width) + 1},{int(picture.height) + 1}",
           f"--screenshot={shot}")
    assert first_pixel(shot.read_bytes()) == paper


def first_pixel(png):
    """The color of a PNG's upper left pixel, which every filter leaves as it is."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    packed, at = b"", 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += length + 12
    return "#" + zlib.decompress(packed)[1:4].hex()


def test_the_ramp_is_of_one_lightness():
    """So no element stands out, and ink is as readable on all of them."""
    for paper, ink in ((LIGHT_PAPER, LIGHT_INK), (DARK_PAPER, DARK_INK)):
        found = [contrast(ink, over(ramp(k / 20), TINT, paper)) for k in range(21)]
        assert max(found) < 1.25 * min(found)


def test_a_picture_says_what_it_is():
    assert re.fullmatch(r"<picture of tensor x \(2,\), \d+ by \d+>", repr(
        cresset.draw(x=cresset.ones(2))
    ))
    assert isinstance(cresset.draw(cresset.ones(2)), Picture)
