"""The vendors' clouds on loopback, faithful to their quirks, with faults on demand: demo, tests, benchmarks.

A simulator shares no code with the program that it tests: where both misread a vendor, they should not agree.
"""

from logkeep.simulator.content import Content, Held, Stamped
from logkeep.simulator.faults import Fault, Faults
from logkeep.simulator.lapse import TimeLapse
from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.cloud import Pan123Cloud
from logkeep.simulator.pan123.offered import OMIT, OfferedFile
from logkeep.simulator.pan123.quirks import Quirks
from logkeep.simulator.witness import Request

__all__ = [
    "OMIT",
    "Account",
    "Content",
    "Fault",
    "Faults",
    "Held",
    "OfferedFile",
    "Pan123Cloud",
    "Quirks",
    "Request",
    "Stamped",
    "TimeLapse",
]
