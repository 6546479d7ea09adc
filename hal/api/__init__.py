"""The four roles of a split system, and what each promises the others.

The microscope (`McsAPI`), the storage (`StorageAPI`) and the conductor of experiments
(`OrchestratorAPI`) may each live in the process of whoever uses them, in another one,
or on another machine; a user interface (`UiClient`) is a client of all three. What they
say crosses any wire: commands are requests, news are `StateTold`.
"""

from hal.api.mcs import McsAPI, Reply, Subscription
from hal.api.orchestrator import OrchestratorAPI
from hal.api.state import STATE_SCHEMA, StatePublisher, StateTold, UiClient, told
from hal.api.storage import StorageAPI, StorageHealth

__all__ = [
    "STATE_SCHEMA",
    "McsAPI",
    "OrchestratorAPI",
    "Reply",
    "StatePublisher",
    "StateTold",
    "StorageAPI",
    "StorageHealth",
    "Subscription",
    "UiClient",
    "told",
]
