"""Modules in processes of their own: the same code, the same messages, one crash less.

In the place of such a module sits a gateway, which forwards what the module is sent to
a child process. There the real module lives in a kernel of its own.
"""

from hal.isolation.gateway import Gateway, gateway_class
from hal.isolation.host import Host
from hal.isolation.hosts import Hosts
from hal.isolation.launch import Launch, find_class

__all__ = ["Gateway", "Host", "Hosts", "Launch", "find_class", "gateway_class"]
