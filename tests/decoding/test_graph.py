"""The entity graph: where matches begin, fail and end, and what it costs to build."""

import random
import resource
import string
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decoding.graph import GraphCache, build_graph, follow
from pipeline.trie import DEAD, ROOT
from pipeline.types.entity import Entity, EntityList


def listed(texts, **fields):
    return EntityList(tuple(Entity(text, text, **fields) for text in sorted(set(texts))))


def walk(graph, text, node=ROOT):
    for character in text:
        node = follow(graph.first, graph.label, graph.fail, node, ord(character))
    return node


def test_matches_begin_at_word_starts_only():
    graph = build_graph(listed(["new york", "york times", "ann"]))
    assert graph.final[walk(graph, "new york")] == 1.0
    assert graph.final[walk(graph, "new york times")] == 1.0  # through the failure to "york times"
    assert walk(graph, "joann") == DEAD
    assert graph.final[walk(graph, "jo ann")] == 1.0
    assert walk(graph, "new yorker ") == ROOT


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=6), st.text("ab ", max_size=12))
def test_the_node_is_the_longest_suffix_that_begins_an_entity(texts, heard):
    graph = build_graph(listed(texts))
    heard = " ".join(heard.split())
    words = heard.split(" ") if heard else []
    suffixes = [" ".join(words[start:]) for start in range(len(words))]
    longest = next((one for one in suffixes if any(text.startswith(one) for text in texts)), None)
    node = walk(graph, heard)
    if longest is None:
        assert node in (ROOT, DEAD)
    else:
        assert graph.depth[node] == len(longest)


def test_weights_and_aliases():
    entities = EntityList((Entity("kate", "Kate", aliases=("cate",), weight=2.0), Entity("zed", "Zed", weight=0.0)))
    graph = build_graph(entities)
    assert graph.final[walk(graph, "cate")] == 2.0
    assert walk(graph, "zed") == DEAD
    assert graph.weight[ROOT] == 2.0


def random_names(count):
    generator = random.Random(count)
    return listed("".join(generator.choices(string.ascii_lowercase, k=generator.randint(4, 14))) for _ in range(count))


@pytest.mark.parametrize(("count", "seconds"), [(100, 0.001), (10_000, 1.0)])
def test_building_is_fast(count, seconds):
    lists = [random_names(count) for _ in range(5)]
    build_graph(lists[0])
    start = time.process_time()
    for entities in lists:
        build_graph(entities)
    assert (time.process_time() - start) / len(lists) < seconds


def test_a_million_entities_fit_into_memory():
    generator = random.Random(1)
    texts = sorted({f"{generator.getrandbits(56):x}" for _ in range(1_000_000)})
    entities = EntityList(tuple(Entity(text, text) for text in texts))
    graph = build_graph(entities)
    assert len(graph.label) > 1_000_000
    unit = 1 if sys.platform == "darwin" else 1024
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit < 4 << 30


def test_graphs_are_cached_and_dropped_by_size():
    cache = GraphCache(most_nodes=30)
    first, second = listed(["abcdefghij"]), listed(["klmnopqrstuvwxyz"])
    graph = cache.get(first)
    assert cache.get(first) is graph
    cache.get(second)
    assert cache.get(first) is graph
    cache.get(listed(["0123456789"]))
    assert cache.get(second) is not None
    assert cache.get(first) is graph or len(cache._graphs) <= 3
