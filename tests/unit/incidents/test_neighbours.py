from __future__ import annotations

import pytest

from triagebook.core.settings import Settings
from triagebook.incidents.neighbours import MOST_SHARING, groups, neighbours


def known(*services):
    return neighbours(Settings(service=list(services)).services)


def calls(start, end, kind="calls"):
    return {"from": start, "to": end, "kind": kind}


def test_an_arrow_joins_two_services_both_ways():
    found = known({"name": "shop", "topology": [calls("shop", "prices")]}, {"name": "prices"})
    assert found == {
        "shop": {"prices": "shop calls prices"},
        "prices": {"shop": "shop calls prices"},
    }


def test_an_entrypoint_stands_for_its_service():
    found = known(
        {"name": "shop", "entrypoint": "gateway", "topology": [calls("gateway", "prices")]},
        {"name": "prices"},
    )
    assert found["prices"] == {"shop": "shop calls prices"}


def test_an_entrypoint_that_two_share_stands_for_neither():
    found = known(
        {"name": "shop", "entrypoint": "gateway"},
        {"name": "churn", "entrypoint": "gateway"},
        {"name": "prices", "topology": [calls("gateway", "elsewhere")]},
    )
    assert found == {"shop": {}, "churn": {}, "prices": {}}


def test_a_part_that_one_s_own_topology_names_is_one_s_own():
    found = known(
        {"name": "shop", "topology": [calls("shop", "cart"), calls("cart", "prices")]},
        {"name": "prices"},
    )
    assert found["prices"] == {"shop": "cart calls prices, in the topology of shop"}


def test_a_map_of_the_whole_company_joins_by_its_arrows_only():
    whole = [calls("a", "b"), calls("b", "c")]
    found = known(*({"name": name, "topology": whole} for name in "abc"))
    assert {name: sorted(those) for name, those in found.items()} == {
        "a": ["b"],
        "b": ["a", "c"],
        "c": ["b"],
    }


def test_dependencies_join_too():
    found = known({"name": "shop", "dependencies": ["prices", "who"]}, {"name": "prices"})
    assert found["prices"] == {"shop": "shop depends on prices"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"dependencies": ["orders-db"]}, {"dependencies": ["orders-db"]}),
        (
            {"dependencies": ["orders-db"]},
            {"topology": [calls("b", "orders-db"), calls("orders-db", "disk")]},
        ),
        (
            {"topology": [calls("orders-db", "a", "feeds")]},
            {"topology": [calls("orders-db", "b", "serves")]},
        ),
    ],
)
def test_two_that_depend_on_one_thing_are_joined(one, other):
    found = known({"name": "a", **one}, {"name": "b", **other})
    assert found["a"] == {"b": "a and b both depend on orders-db"}


def test_what_calls_one_thing_and_what_feeds_it_are_not_joined():
    found = known(
        {"name": "a", "topology": [calls("a", "orders-db")]},
        {"name": "b", "topology": [calls("b", "orders-db", "feeds")]},
    )
    assert found == {"a": {}, "b": {}}


@pytest.mark.parametrize("many", [MOST_SHARING, MOST_SHARING + 1])
def test_what_many_depend_on_says_nothing_of_any_two(many):
    found = known(*({"name": f"s{n}", "dependencies": ["db"]} for n in range(many)))
    assert len(found["s0"]) == (many - 1 if many <= MOST_SHARING else 0)


def test_a_service_is_no_neighbour_of_itself():
    assert known({"name": "a", "topology": [calls("a", "a")], "dependencies": ["a"]}) == {"a": {}}


def test_groups_go_over_any_number_of_steps():
    chain = [calls("a", "b"), calls("b", "c")]
    found = known({"name": "c", "topology": chain}, {"name": "b"}, {"name": "a"}, {"name": "d"})
    assert groups(found) == {"a": "a", "b": "a", "c": "a", "d": "d"}
