"""Embedded pairs: all order conditions in exact fractions, first same as last, growing nodes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations_with_replacement

import pytest

from pushforward.solvers.tableaux import TABLEAUX, Tableau

Tree = tuple  # a rooted tree is the sorted tuple of its root's branches


def trees(size: int) -> list[Tree]:
    """All rooted trees with so many vertices."""
    return sorted(forests(size - 1, size - 1))


def forests(size: int, largest: int) -> set[Tree]:
    """All sorted tuples of trees that have `size` vertices together, none above `largest`."""
    if size == 0:
        return {()}
    found = set()
    for count in range(1, size + 1):
        for part in range(1, largest + 1):
            if count * part > size:
                continue
            for chosen in combinations_with_replacement(trees(part), count):
                rest = forests(size - count * part, part - 1)
                found |= {tuple(sorted((*chosen, *other))) for other in rest}
    return found


def vertices(tree: Tree) -> int:
    return 1 + sum(vertices(branch) for branch in tree)


def density(tree: Tree) -> int:
    product = vertices(tree)
    for branch in tree:
        product *= density(branch)
    return product


def weights(tree: Tree, tableau: Tableau) -> list[Fraction]:
    """The elementary weight of a tree at every stage."""
    out = [Fraction(1)] * tableau.stages
    for branch in tree:
        inner = weights(branch, tableau)
        for i, row in enumerate(tableau.a):
            out[i] *= sum((a * inner[j] for j, a in enumerate(row)), Fraction(0))
    return out


def broken(tableau: Tableau, b: tuple[Fraction, ...], order: int) -> list[Tree]:
    """The trees of one order whose condition sum_i b_i phi_i = 1 / density does not hold."""
    return [
        tree
        for tree in trees(order)
        if sum(x * y for x, y in zip(b, weights(tree, tableau), strict=True))
        != Fraction(1, density(tree))
    ]


def test_there_are_as_many_trees_as_cayley_counted() -> None:
    assert [len(trees(size)) for size in range(1, 7)] == [1, 1, 2, 4, 9, 20]


@pytest.mark.parametrize("name", TABLEAUX)
def test_pairs_have_the_orders_they_claim_and_no_more(name: str) -> None:
    tableau = TABLEAUX[name]
    for b, order in (
        (tableau.b, tableau.order),
        (tableau.b_hat, tableau.estimate_order),
    ):
        for lower in range(1, order + 1):
            assert broken(tableau, b, lower) == []
        assert broken(tableau, b, order + 1)


@pytest.mark.parametrize("name", TABLEAUX)
def test_a_wrong_coefficient_is_seen(name: str) -> None:
    tableau = TABLEAUX[name]
    last = tableau.b[-2] + Fraction(1, 10**9)
    wrong = (*tableau.b[:-2], last, tableau.b[-1])
    assert broken(tableau, wrong, 1)
    row = (tableau.a[2][0] + Fraction(1, 10**9), *tableau.a[2][1:])
    bent = replace(tableau, a=(*tableau.a[:2], row, *tableau.a[3:]))
    assert any(broken(bent, tableau.b, order) for order in range(1, tableau.order + 1))


@pytest.mark.parametrize("name", TABLEAUX)
def test_last_stage_is_the_next_first_one_and_nodes_increase(name: str) -> None:
    tableau = TABLEAUX[name]
    assert (*tableau.a[-1], 0) == tableau.b
    assert tuple(sum(row, Fraction(0)) for row in tableau.a) == tableau.c
    assert list(tableau.c) == sorted(tableau.c)
    assert tableau.c[-1] == 1
    assert [len(row) for row in tableau.a] == list(range(tableau.stages))


def test_estimate_of_the_classical_scheme_is_a_tenth_of_the_last_two_stages() -> None:
    assert TABLEAUX["ifrk43"].error == (0, 0, 0, Fraction(1, 10), Fraction(-1, 10))
