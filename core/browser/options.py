"""How a browser is started or reached, and with which switches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.owners import owner_marker

MIB = 1024 * 1024

# Chromium keeps shared memory of every renderer there; a container often has 64 MiB.
_SHM_ENOUGH_BYTES = 512 * MIB

_SWITCHES = (
    # Without these a page learns the machine's own address past any proxy. Full Chromium obeys the
    # first only, headless shell the second only.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    # QUIC is UDP, which no HTTP proxy carries.
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

# Playwright passes the part before `imagesEnabled` itself; the last --blink-settings wins whole.
_NO_IMAGES = (
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,"
    "primaryPointerType=4,availablePointerTypes=4,imagesEnabled=false"
)

# What Chromium needs of our environment. Its renderers run what sites send them, so the keys and
# database URLs that the environment also holds stay out.
_ENVIRONMENT = ("DBUS_SESSION_BUS_ADDRESS", "HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TZ", "USER")
_ENVIRONMENT_PREFIXES = ("FONTCONFIG_", "LC_", "SSL_CERT_", "XDG_")


def _not_root() -> bool:
    return os.geteuid() != 0


@dataclass(frozen=True, slots=True)
class BrowserOptions:
    """What `launch` needs to know. Times are in seconds.

    Make it in the process that launches: the default marker names that process.
    """

    # A path or a name on PATH; None: what `core.browser_finder` finds.
    executable: str | None = None
    # Connect instead of launching: a Playwright server (`ws://...`), or CDP (`http(s)://...` or
    # `ws://.../devtools/...`). May hold a token, hence not in the repr.
    endpoint: str | None = field(default=None, repr=False)
    # Chromium's own sandbox; it refuses to start as root.
    sandbox: bool = field(default_factory=_not_root)
    # Pages that a context may hold, the first one included.
    max_pages: int = 3
    images: bool = True
    # One locale and one viewport for everybody: no fingerprint games.
    locale: str = "en-US"
    viewport: tuple[int, int] = (1280, 720)
    close_timeout: float = 5.0
    # Also the deadline for making a context.
    launch_timeout: float = 30.0
    # `host:pid:starttime` in the environment of the driver and the browser, for `reap_orphans`.
    marker: str = field(default_factory=owner_marker)
    # The local egress proxy (`http://127.0.0.1:port`). An account's own proxy takes precedence.
    proxy_server: str | None = None


def switches(options: BrowserOptions) -> list[str]:
    """The command-line switches on top of Playwright's own."""
    chosen = list(_SWITCHES)
    if not options.images:
        chosen.append(_NO_IMAGES)
    return chosen


def unwanted_switches() -> list[str]:
    """Playwright's own switches that we leave out on this machine."""
    try:
        free = shutil.disk_usage("/dev/shm").free  # noqa: S108 - looked at, not written to
    except OSError:
        return []
    # Shared memory in files costs disk writes; Playwright always asks for it.
    return ["--disable-dev-shm-usage"] if free >= _SHM_ENOUGH_BYTES else []


def browser_environment(additional: Mapping[str, str]) -> dict[str, str | float | bool]:
    """The environment of the browser process: the little it needs, and `additional`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
    }
    return {**kept, **additional}
