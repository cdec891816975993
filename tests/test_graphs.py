"""Connected components."""

from __future__ import annotations

import random

from similar_images.duplicates.graphs import connected_components


def test_components__connect_nodes_through_others_in_order_of_appearance() -> None:
    edges = [("d", "c"), ("a", "b"), ("e", "f"), ("f", "b"), ("g", "g"), ("c", "d")]
    assert connected_components(edges) == [["d", "c"], ["a", "b", "e", "f"], ["g"]]
    assert connected_components([]) == []


def test_long_chain__is_one_component_in_any_order() -> None:
    chain = [(number, number + 1) for number in range(5_000)]
    for edges in (chain, chain[::-1], chain[::2] + chain[1::2]):
        (component,) = connected_components(edges)
        assert sorted(component) == list(range(5_001))


def test_nodes_apart__are_never_in_one_component() -> None:
    edges = [("a", "b"), ("c", "d"), ("b", "c"), ("d", "e"), ("e", "a")]
    assert connected_components(edges, [("a", "d")]) == [["a", "b"], ["c", "d", "e"]]
    assert connected_components(edges, [("b", "c"), ("e", "a")]) == [["a", "b"], ["c", "d", "e"]]
    assert connected_components(edges, [("x", "a"), ("x", "y")]) == [["a", "b", "c", "d", "e"]]


def test_nodes_apart__in_random_graphs() -> None:
    """No component has a forbidden pair, and none is divided further than its edges and the pairs demand."""
    chance = random.Random(1)
    for _round in range(200):
        edges = [(chance.randrange(12), chance.randrange(12)) for _edge in range(15)]
        apart = [(a, b) for a, b in ((chance.randrange(12), chance.randrange(12)) for _pair in range(4)) if a != b]
        components = [set(nodes) for nodes in connected_components(edges, apart)]
        assert not any({a, b} <= nodes for a, b in apart for nodes in components)
        assert sorted(node for nodes in components for node in nodes) == sorted({n for edge in edges for n in edge})
        for a, b in edges:
            first, second = (next(nodes for nodes in components if node in nodes) for node in (a, b))
            assert first is second or any({x, y} <= first | second for x, y in apart)
