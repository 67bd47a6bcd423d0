"""Counts of what was accepted and rejected, and the bounds that follow."""

import pytest

from pipeline.config import MemoryConfig
from pipeline.learning.memory import Predictor, heard_elsewhere, memory_rows, purged
from pipeline.learning.observed import Observation, Whole
from pipeline.lexicon.phones import parse_phones
from pipeline.lexicon.pronunciation import Pronouncer

PRONOUNCER = Pronouncer()
NOTHING = Predictor({}, PRONOUNCER)
LENS = "L EH N Z K IY"
LEAST = MemoryConfig().least


def observed(said: bool, heard: str = LENS, entity: str = "zelensky", tenant: str = "") -> Observation:
    return Observation(tenant, entity, parse_phones(heard), said)


def bounds(*said: bool) -> tuple[float, float]:
    (row,) = memory_rows([observed(one) for one in said], NOTHING)
    assert (row["accepted"], row["rejected"]) == (said.count(True), said.count(False))
    return row["lower"], row["upper"]


def test_one_confirmation_is_enough_and_each_rejection_must_be_outweighed() -> None:
    assert bounds(True)[0] == pytest.approx(0.351, abs=1e-3)
    assert bounds(True)[0] >= LEAST > bounds(True, False)[0]
    assert bounds(True, True, False)[0] >= LEAST
    assert bounds(False)[1] <= 1 - LEAST < bounds(True, False)[1]
    assert bounds(*[True] * 20)[0] > 0.9
    assert bounds(True, False) == pytest.approx([1 - one for one in bounds(True, False)][::-1], abs=2e-6)


def test_forms_that_differ_in_little_count_together() -> None:
    near, far = "L EH N S K IY", "M AA B AH L OW"
    rows = {
        row["heard"]: row for row in memory_rows([observed(True), observed(True, near), observed(True, far)], NOTHING)
    }
    assert [rows[one]["accepted"] for one in (LENS, near, far)] == [1, 1, 1]
    assert rows[LENS]["lower"] == rows[near]["lower"] == bounds(True, True)[0]
    assert rows[far]["lower"] == bounds(True)[0]


def test_tenants_and_names_count_apart() -> None:
    rows = memory_rows(
        [observed(True, tenant="n"), observed(False, tenant="s"), observed(True, entity="kiev")], NOTHING
    )
    assert [(row["tenant"], row["entity"], row["accepted"]) for row in rows] == [
        ("", "kiev", 1), ("n", "zelensky", 1), ("s", "zelensky", 0),
    ]  # fmt: skip


def test_what_is_predicted_stands_in_for_what_was_not_observed() -> None:
    predictor = Predictor({"z": {"m": 0.6}, "y": {"o": 0.05}}, PRONOUNCER)
    forms = predictor.forms("zelensky")
    assert max(forms.values()) == 0.6
    likely = next(phones for phones, probability in forms.items() if probability == 0.6)
    rows = {row["heard"]: row for row in memory_rows([observed(True)], predictor)}
    guess = rows[" ".join(likely)]
    assert (guess["accepted"], guess["rejected"], guess["predicted"]) == (0, 0, 0.6)
    assert guess["lower"] > LEAST, "1.2 of a confirmation"
    assert min(row["lower"] for row in rows.values()) < LEAST, "what is hardly likely does not speak for it"
    rejected = memory_rows([observed(True), observed(False, " ".join(likely))], predictor)
    assert next(row for row in rejected if row["heard"] == guess["heard"])["lower"] < LEAST, "what is observed counts"
    assert all(row["predicted"] is None for row in memory_rows([observed(False)], predictor)), "of what was said only"


def test_where_a_whole_utterance_has_a_form_and_not_its_name_the_form_is_rejected() -> None:
    lens, the = parse_phones(LENS), parse_phones("DH AH")
    seen = [observed(True), observed(True, "DH AH", entity="the hague"), observed(True, tenant="s")]
    said = Whole("", ((0, 1, the), (1, 3, lens), (0, 3, the + lens)), frozenset({("zelensky", 1, 3)}))
    other = Whole("", ((0, 1, the), (1, 2, lens), (2, 3, the)), frozenset())
    assert heard_elsewhere(seen, [said]) == [observed(False, "DH AH", entity="the hague")]
    assert heard_elsewhere(seen, [other]) == [observed(False, "DH AH", entity="the hague"), observed(False)]
    assert heard_elsewhere(seen, [Whole("n", other.spans, other.said)]) == [], "of another tenant it says nothing"
    rows = {(row["tenant"], row["entity"]): row for row in memory_rows(seen, NOTHING, [said, said, other])}
    assert rows["", "the hague"]["rejected"] == 3
    assert rows["", "zelensky"]["lower"] < LEAST <= rows["s", "zelensky"]["lower"]


def test_a_removed_entity_is_purged() -> None:
    rows = memory_rows([observed(True), observed(True, entity="kiev")], NOTHING)
    assert [row["entity"] for row in purged(rows, {"kiev", "odesa"})] == ["kiev"]
