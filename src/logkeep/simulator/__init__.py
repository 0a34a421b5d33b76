"""The vendors' clouds on loopback, faithful to their quirks, with faults on demand: demo, tests, benchmarks.

A simulator shares no code with the program that it tests: where both misread a vendor, they should not agree.
"""

from logkeep.simulator.content import Content, Held, Stamped
from logkeep.simulator.faults import Fault, Faults
from logkeep.simulator.lapse import TimeLapse
from logkeep.simulator.lexiang.account import LexiangAccount
from logkeep.simulator.lexiang.churn import Churn
from logkeep.simulator.lexiang.cloud import LexiangCloud
from logkeep.simulator.lexiang.quirks import NEWER, LexiangQuirks
from logkeep.simulator.lexiang.traits import GONE, Habits, OfferedRecord
from logkeep.simulator.omit import OMIT
from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.cloud import Pan123Cloud
from logkeep.simulator.pan123.offered import OfferedFile
from logkeep.simulator.pan123.quirks import Quirks
from logkeep.simulator.witness import Request

__all__ = [
    "GONE",
    "NEWER",
    "OMIT",
    "Account",
    "Churn",
    "Content",
    "Fault",
    "Faults",
    "Habits",
    "Held",
    "LexiangAccount",
    "LexiangCloud",
    "LexiangQuirks",
    "OfferedFile",
    "OfferedRecord",
    "Pan123Cloud",
    "Quirks",
    "Request",
    "Stamped",
    "TimeLapse",
]
