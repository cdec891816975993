"""Connected components."""

from __future__ import annotations

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
