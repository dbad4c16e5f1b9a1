"""Deny by default: the only way from a browser context to the network.

An HTTP proxy in the worker's own event loop. A context comes in with the credentials of its grant, and
gets out to the hosts of its own site only, through its account's own upstream proxy. `docs/egress.md`
says what is checked and what is not.
"""

from core.egress.connection import Limits
from core.egress.grants import Grant
from core.egress.proxy import EgressProxy
from core.egress.resolver import Resolve

__all__ = ["EgressProxy", "Grant", "Limits", "Resolve"]
