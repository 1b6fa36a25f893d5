"""Directed acyclic graphs on a plane: nodes in layers, edges downward between them.

The method of K. Sugiyama, S. Tagawa and M. Toda (1981), in four steps: every node goes one layer
below the lowest of its sources; an edge that passes a layer has a point there, so that nothing
stands in its way; layers are ordered by the middle of their neighbours, to have few crossings; and
nodes are moved towards their neighbours as far as those beside them allow.
"""

from __future__ import annotations

from statistics import median

SWEEPS = 12
# Between nodes of a layer, between a node and an edge that passes it, and between layers.
APART, PASSING, BELOW = 26.0, 14.0, 34.0


class Drawn:
    """Where everything lies: `places` the upper left corner of each node, `routes` each edge."""

    def __init__(self, places: dict, routes: dict):
        self.places = places
        self.routes = routes


def lay_out(sizes: dict, edges: list[tuple]) -> Drawn:
    """Place nodes of the given (width, height) so that every edge (source, target) leads down.

    The nodes are given in an order in which every source comes before its targets. A route is a
    list of points, from the lower side of the source to the upper side of the target.
    """
    layer = _layers(sizes, edges)
    chains, widths = {}, {node: width for node, (width, _) in sizes.items()}
    for k, (source, target) in enumerate(edges):
        passed = [("edge", k, n) for n in range(layer[source] + 1, layer[target])]
        for point in passed:
            layer[point], widths[point] = point[2], 0.0
        chains[k] = [source, *passed, target]
    rows: list[list] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node, n in layer.items():
        rows[n].append(node)
    above: dict = {node: [] for node in layer}
    below: dict = {node: [] for node in layer}
    for chain in chains.values():
        for a, b in zip(chain, chain[1:]):
            below[a].append(b)
            above[b].append(a)
    _order(rows, above, below)
    return _drawn(rows, _middles(rows, above, below, widths), sizes, chains)


def _layers(sizes, edges) -> dict:
    """The layer of each node: sources as low as their targets allow."""
    sources: dict = {node: [] for node in sizes}
    targets: dict = {node: [] for node in sizes}
    for source, target in edges:
        sources[target].append(source)
        targets[source].append(target)
    layer: dict = {}
    for node in sizes:
        layer[node] = max((layer[s] + 1 for s in sources[node]), default=0)
    for node in sizes:
        if targets[node] and not sources[node]:
            layer[node] = min(layer[t] for t in targets[node]) - 1
    return layer


def _order(rows, above, below):
    """Order each layer by the places of the nodes' neighbours, downward and upward in turn."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for row in rows if down else reversed(rows):
            place = {node: k for other in rows for k, node in enumerate(other)}
            key = {
                node: median(place[n] for n in near[node]) if near[node] else place[node]
                for node in row
            }
            row.sort(key=key.__getitem__)


def _middles(rows, above, below, widths) -> dict:
    """The x of each node's middle."""
    x: dict = {}
    for row in rows:
        right = 0.0
        for node in row:
            x[node] = right + widths[node] / 2
            right += widths[node] + APART
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            near = above if sweep % 2 == 0 else below
            wanted = [
                sum(x[n] for n in near[node]) / len(near[node]) if near[node] else x[node]
                for node in row
            ]
            _settle(row, wanted, widths, x)
    return x


def _settle(row, wanted, widths, x):
    """Put nodes as near to where they want to be as their order and widths allow.

    Blocks of nodes that touch lie where the mean of their wishes is; blocks that meet are joined.
    """
    blocks: list[tuple[list, float]] = []  # (nodes, sum of the starts they wish for the block)
    spans: list[float] = []
    for node, wish in zip(row, wanted):
        members, total, span = [node], wish - widths[node] / 2, widths[node]
        while blocks:
            before, sum_before = blocks[-1]
            gap = _gap(before[-1], members[0])
            offset = spans[-1] + gap
            if sum_before / len(before) + offset <= total / len(members):
                break
            blocks.pop()
            total = sum_before + total - offset * len(members)
            members, span = before + members, spans.pop() + gap + span
        blocks.append((members, total))
        spans.append(span)
    for members, total in blocks:
        left = total / len(members)
        for k, node in enumerate(members):
            if k:
                left += _gap(members[k - 1], node)
            x[node] = left + widths[node] / 2
            left += widths[node]


def _gap(a, b):
    passing = isinstance(a, tuple) and isinstance(b, tuple)
    return PASSING if passing else APART


def _drawn(rows, middles, sizes, chains) -> Drawn:
    places, tops, bottoms = {}, {}, {}
    y = 0.0
    for row in rows:
        height = max(sizes[node][1] if node in sizes else 0.0 for node in row)
        for node in row:
            own = sizes[node][1] if node in sizes else height
            tops[node] = y + (height - own) / 2
            bottoms[node] = tops[node] + own
            if node in sizes:
                places[node] = (middles[node] - sizes[node][0] / 2, tops[node])
        y += height + BELOW
    routes = {}
    for k, chain in chains.items():
        points = [(middles[chain[0]], bottoms[chain[0]])]
        for point in chain[1:-1]:
            points += [(middles[point], tops[point]), (middles[point], bottoms[point])]
        points.append((middles[chain[-1]], tops[chain[-1]]))
        routes[k] = points
    return Drawn(places, routes)
