"""A folder of policies: ``policy-<version>.json``, and ``latest-policy.json``, which says which one is published."""

from pipeline import storage
from pipeline.errors import InputError
from pipeline.learning.gate import PolicyGates, objections
from pipeline.retrieval.policy import Policy, policy_in
from pipeline.runs.pointer import Pointer
from pipeline.storage import Location

_NAME = "policy"


def file_name(version: str) -> str:
    """Return what the file of a policy is called."""
    return f"policy-{version}.json"


def load(file: Location) -> Policy:
    """Return a policy; raises InputError or StorageError."""
    return policy_in(storage.read_bytes(file), file.uri)


class PolicyPointer(Pointer):
    """``latest-policy.json``; what it calls ``run`` is the file of a policy in the same folder."""

    def __init__(self, output: Location) -> None:
        super().__init__(output, _NAME)

    def check(self, name: str) -> None:
        """Raise InputError if the policy is not there or no longer what its name says."""
        file = self.output.join(name)
        if not storage.exists(file) or file_name(load(file).version) != name:
            raise InputError(f"{file.uri}: what was published before is no longer whole; publish another policy.")

    @property
    def version(self) -> str | None:
        """Of the published policy, None if there is none."""
        return None if self.run is None else self.run.removeprefix("policy-").removesuffix(".json")


def publish(file: Location, gates: PolicyGates) -> list[str]:
    """Move the pointer of its folder to a policy if the gates hold; else return what speaks against it.

    Raises InputError for a file that is no policy, or is not called by its version.
    """
    policy, pointer = load(file), PolicyPointer(file.parent)
    if file.name != file_name(policy.version):
        raise InputError(f"{file.uri}: is policy {policy.version}; it must be called {file_name(policy.version)}.")
    if pointer.run == file.name:
        return []
    found = objections(policy.about, pointer.version, gates)
    if not found:
        pointer.move(file.name)
    return found
