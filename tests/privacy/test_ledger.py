"""The ledger where several exports charge at once, on a disk and in a bucket."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.privacy import ledger
from pipeline.privacy.config import Budget
from pipeline.privacy.release import Charge
from pipeline.storage import Location, create_only, open_filesystem, read_bytes
from tests.support.servers import moto_endpoint, new_bucket, options_for


@pytest.fixture(params=["disk", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    if request.param == "disk":
        yield open_filesystem(str(tmp_path))
    else:
        with moto_endpoint() as endpoint:
            yield new_bucket(options_for(endpoint))


def test_a_name_is_given_once(root: Location) -> None:
    place = root.join("folder", "name")
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: create_only(place, b"%d" % number), range(8)))
    assert won.count(True) == 1
    assert read_bytes(place) == b"%d" % won.index(True)


def said_by(speaker: str, number: int) -> Charge:
    return Charge("noise", f"utterance {number}", f"text {number}", speaker, f"recording {number}", 10)


def test_exports_at_the_same_time_lose_no_charge_and_break_no_budget(root: Location) -> None:
    """Eight exports of 30 each, of which a budget of 100 allows three; everyone charges one utterance of his own."""

    def export(number: int) -> bool:
        try:
            return ledger.charge(root, [said_by("anna", number)], 3.0, Budget(speaker=100.0)) == 1
        except ConfigError:
            return False

    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(export, range(8)))
    assert allowed.count(True) == 3
    rows = ledger.read(root).to_pylist()
    assert {row["utterance"] for row in rows} == {f"utterance {at}" for at, one in enumerate(allowed) if one}
    assert ledger.charge(root, [said_by("anna", allowed.index(True))], 3.0, Budget(speaker=100.0)) == 0
