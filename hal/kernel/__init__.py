"""How modules talk: messages, deliveries, broker, actors, watchdog, trace."""

from hal.kernel.actor import ModuleActor
from hal.kernel.broker import Broker
from hal.kernel.context import Context
from hal.kernel.current import current_principal
from hal.kernel.delivery import Delivery, How, Ticket
from hal.kernel.device_module import DeviceModule
from hal.kernel.dispatch import Dispatching
from hal.kernel.dump_folder import DumpFolder
from hal.kernel.handles import handler_table, handles
from hal.kernel.leases import Lease, Leases, SystemMode
from hal.kernel.loop import Loop
from hal.kernel.mailbox import Mailbox
from hal.kernel.message import Access, Event, Lane, Message, Request
from hal.kernel.module import Module
from hal.kernel.operations import Operation, OperationState, OperationTracker
from hal.kernel.protocol import (
    CommitParameters,
    ConfigureModule,
    DescribeParameters,
    DropParameters,
    MakeSafe,
    ModuleStateChanged,
    OpenDevice,
    ParameterList,
    ParametersChanged,
    ProposeParameters,
    RunLost,
    StartModule,
    StopModule,
    SystemModeChanged,
)
from hal.kernel.reporting_module import ReportingModule
from hal.kernel.restart import RestartPolicy, Strategy
from hal.kernel.safeguards import Safeguards
from hal.kernel.second_path import make_safe_from_outside
from hal.kernel.statistics import ModuleStatistics
from hal.kernel.system import System
from hal.kernel.task import WorkerResult
from hal.kernel.thread_dump import dump_threads
from hal.kernel.timers import Timer, Timers
from hal.kernel.trace import Trace
from hal.kernel.trace_file import TraceFile, versions
from hal.kernel.uplink import Resident, Uplink
from hal.kernel.watchdog import Watchdog
from hal.kernel.wire import (
    Envelope,
    Outcome,
    Wire,
    pack_response,
    to_envelope,
    unpack_response,
)
from hal.kernel.worker_manager import WorkerManager

__all__ = [
    "Access",
    "Broker",
    "CommitParameters",
    "ConfigureModule",
    "Context",
    "Delivery",
    "DescribeParameters",
    "DeviceModule",
    "Dispatching",
    "DropParameters",
    "DumpFolder",
    "Envelope",
    "Event",
    "How",
    "Lane",
    "Lease",
    "Leases",
    "Loop",
    "Mailbox",
    "MakeSafe",
    "Message",
    "Module",
    "ModuleActor",
    "ModuleStateChanged",
    "ModuleStatistics",
    "OpenDevice",
    "Operation",
    "OperationState",
    "OperationTracker",
    "Outcome",
    "ParameterList",
    "ParametersChanged",
    "ProposeParameters",
    "ReportingModule",
    "Request",
    "Resident",
    "RestartPolicy",
    "RunLost",
    "Safeguards",
    "StartModule",
    "StopModule",
    "Strategy",
    "System",
    "SystemMode",
    "SystemModeChanged",
    "Ticket",
    "Timer",
    "Timers",
    "Trace",
    "TraceFile",
    "Uplink",
    "Watchdog",
    "Wire",
    "WorkerManager",
    "WorkerResult",
    "current_principal",
    "dump_threads",
    "handler_table",
    "handles",
    "make_safe_from_outside",
    "pack_response",
    "to_envelope",
    "unpack_response",
    "versions",
]
