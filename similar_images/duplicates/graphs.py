"""Connected components of a graph that is given by its edges."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def connected_components(
    edges: Iterable[tuple[Node, Node]], apart: Iterable[tuple[Node, Node]] = ()
) -> list[list[Node]]:
    """Group the nodes that edges connect, directly or through others (union-find).

    An edge that would put two nodes of `apart` into one component is left out: give the strongest edges first.
    Components, and the nodes in each, come in the order in which the edges first name them.
    """
    parents: dict[Node, Node] = {}
    members: dict[Node, list[Node]] = {}
    kept_out: dict[Node, set[Node]] = {}
    for a, b in apart:
        kept_out.setdefault(a, set()).add(b)
        kept_out.setdefault(b, set()).add(a)

    def find_root(node: Node) -> Node:
        while (parent := parents.setdefault(node, node)) != node:
            parents[node] = node = parents[parent]  # halves the path to the root for the next call
        return node

    for a, b in edges:
        root_a, root_b = find_root(a), find_root(b)
        if root_a == root_b or any(find_root(node) == root_b for node in kept_out.get(root_a, ()) if node in parents):
            continue
        parents[root_b] = root_a
        if refused := kept_out.pop(root_b, None):
            kept_out.setdefault(root_a, set()).update(refused)
    for node in parents:
        members.setdefault(find_root(node), []).append(node)
    return list(members.values())
