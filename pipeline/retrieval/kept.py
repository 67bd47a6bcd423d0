"""What strategies build of lists and keep: built once for each list, whatever the number of threads that ask."""

import dataclasses
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Built = TypeVar("Built")


class Kept(Generic[Built]):
    """The last ``most`` things that were asked for, by their owner: the object, not what it is equal to.

    Threads that ask for one and the same wait for the one that builds it; those with another do not.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._places: dict[tuple[int, Hashable], _Place[Built]] = {}

    def of(self, owner: object, build: Callable[[], Built], key: Hashable = None) -> Built:
        """Return what ``build`` gave for ``owner``, and ``key`` where an owner has several, or gives now.

        What ``build`` raises is raised, and the next to ask builds again.
        """
        place = self._place(owner, key)
        with place.lock:
            if place.built is None:
                place.built = (build(),)
            return place.built[0]

    def _place(self, owner: object, key: Hashable) -> "_Place[Built]":
        with self._lock:
            # The owner is kept too, so that its id is not given to another.
            place = self._places.pop((id(owner), key), None) or _Place(owner)
            self._places[id(owner), key] = place
            while len(self._places) > self._most:
                self._places.pop(next(iter(self._places)))
        return place


@dataclasses.dataclass
class _Place(Generic[Built]):
    owner: object
    built: tuple[Built] | None = None
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
