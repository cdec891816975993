"""Connected components of a graph that is given by its edges."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def connected_components(edges: Iterable[tuple[Node, Node]]) -> list[list[Node]]:
    """Group the nodes that edges connect, directly or through others (union-find).

    Components, and the nodes in each, come in the order in which the edges first name them.
    """
    parents: dict[Node, Node] = {}

    def find_root(node: Node) -> Node:
        while (parent := parents.setdefault(node, node)) != node:
            parents[node] = node = parents[parent]  # halves the path to the root for the next call
        return node

    for a, b in edges:
        root_a, root_b = find_root(a), find_root(b)
        parents[root_b] = root_a
    components: dict[Node, list[Node]] = {}
    for node in parents:
        components.setdefault(find_root(node), []).append(node)
    return list(components.values())
