"""What the author of a connector writes for the kit: how the CRM would answer. About 60 lines for a plain list API."""

from abc import ABC, abstractmethod

from connectors.conformance.crm import FakeCrm
from connectors.conformance.faults import Fault
from connectors.contract import Answer, Call, Connector, Stream, Surroundings
from connectors.records import Record


class Violation(AssertionError):
    """A promise that was not kept. `check` is its short name."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(f"{check}: {message}")
        self.check = check


class FakeWire(ABC):
    """Base of fake wires. Speak the CRM's dialect on top of `FakeCrm.select`; do not use the connector's own parsing code."""

    @abstractmethod
    def connector(self, surroundings: Surroundings, canary: str) -> Connector:
        """The connector under proof. Put `canary` into every secret option: it must never be seen again."""

    @abstractmethod
    def answer(self, call: Call, crm: FakeCrm) -> Answer:
        """What the CRM answers to one request. A request it does not know is answered as the CRM would."""

    def refuse(self, fault: Fault, crm: FakeCrm) -> Answer:
        """How this CRM words SLOW, BUDGET, BROKEN and EXPIRED. Override it when they are more than a status."""
        status = {Fault.SLOW: 429, Fault.BUDGET: 429, Fault.BROKEN: 500, Fault.EXPIRED: 401}[fault]
        return Answer(status=status, body={"error": fault.value})

    def truth(self, stream: Stream, record: Record) -> Record:
        """The record an honest reader makes of a row, less what this CRM cannot tell (then None, or what the connector says)."""
        return record

    def reply(self, call: Call, crm: FakeCrm) -> Answer | None:
        """The answer to one call inside a pack, with what may befall it; None: no answer. For fakes that unpack."""
        fault = crm.trouble(call.method)
        if fault is Fault.ABSENT:
            return None
        return self.refuse(fault, crm) if fault else self.answer(call, crm)
