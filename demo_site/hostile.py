"""Pages that misbehave, for visitors who must survive them."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from http import HTTPStatus
from threading import Event

from demo_site.behaviours import (
    LATE,
    LATE_MS,
    RETRY_AFTER_SECONDS,
    SLOW_SECONDS,
    Behaviour,
    behaviour_of,
)
from demo_site.http import NoAnswer, Request, Response, redirect

PREFIX = "/hostile/"
ENDLESS = f"{PREFIX}endless.bin"

# A tree of 5,000 elements in each other: its layout overflows the renderer's stack. Measured with
# Chromium 156: 3,000 are enough, the renderer dies within 0.4 s, at about 140 MB. Not many more, as
# the time to build the tree grows with the square of its depth.
_CRASH = """
const outer = document.createElement("div");
let inner = outer;
for (let i = 0; i < 5000; i += 1) inner = inner.appendChild(document.createElement("div"));
inner.textContent = "x";
document.body.append(outer);
document.body.offsetHeight;
"""
_BUSY = "for (;;);"
_BEFORE_UNLOAD = (
    "addEventListener('beforeunload', (event) => { event.preventDefault(); event.returnValue = 'Stay?'; });"
)
_ALERT = f"{_BEFORE_UNLOAD}\nfor (let i = 1; ; i += 1) alert('Message ' + i);"
# Bounded, so that a visitor without a limit of its own does not take the machine down.
_POPUP = f"""
let opened = 0;
const more = () => {{ if (opened < 200) window.open("{PREFIX}popup?" + (opened += 1)); }};
for (let i = 0; i < 30; i += 1) more();
setInterval(more, 250);
"""
_DOWNLOAD = f"location.assign('{ENDLESS}');"
_PERMISSIONS = """
navigator.geolocation.getCurrentPosition(() => {}, () => {});
if (window.Notification) Notification.requestPermission();
if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia({ audio: true, video: true }).catch(() => {});
if (navigator.clipboard) navigator.clipboard.readText().catch(() => {});
"""
# Lone surrogates cannot be sent in UTF-8, and a parser replaces NUL: a script puts them in.
_TEXT = r"""
const odd = "high \ud83d low \udc00 nul \u0000 rtl \u202edlrow\u202c mark \u200f"
  + " emoji \ud83d\ude00\ud83c\uddfa\ud83c\udde6 end";
document.title = odd;
document.querySelector("#odd").textContent = odd;
document.querySelector("#odd").setAttribute("title", odd);
"""

_SCRIPTS = {
    Behaviour.CRASH: _CRASH,
    Behaviour.BUSY: _BUSY,
    Behaviour.ALERT: _ALERT,
    Behaviour.POPUP: _POPUP,
    Behaviour.DOWNLOAD: _DOWNLOAD,
}
# Name -> script of the pages that are nothing but a script.
_PAGES = {
    "alert": _ALERT,
    "beforeunload": _BEFORE_UNLOAD,
    "busy": _BUSY,
    "crash": _CRASH,
    "download": _DOWNLOAD,
    "permissions": _PERMISSIONS,
    "popup": "",
    "popups": _POPUP,
    "text": _TEXT,
}
_REDIRECTS = {"loop": "loop", "ping": "pong", "pong": "ping"}
_OTHERS = ("hang", "drip", "slow", "limited", "error", "endless.bin")
NAMES = (*_PAGES, *_REDIRECTS, *_OTHERS)


def script_for(username: str) -> str:
    """The script that an account's feed runs, if its behaviour is one."""
    script = _SCRIPTS.get(behaviour_of(username), "")
    return delayed(script, LATE_MS) if script and LATE in username else script


def delayed(script: str, milliseconds: int) -> str:
    return f"setTimeout(() => {{\n{script}\n}}, {milliseconds});"


def respond(request: Request, stopping: Event) -> Response | None:
    """The answer for a path below `/hostile/`; None if there is no such page.

    With `?after=MS`, a page's script runs that many milliseconds later.
    """
    name = request.path.removeprefix(PREFIX)
    if name == "":
        links = "\n".join(f'<li><a href="{PREFIX}{name}">{name}</a></li>' for name in NAMES)
        return _page("Hostile pages", f"<ul>\n{links}\n</ul>")
    if name in _PAGES:
        after = request.query.get("after", "")
        is_late = after.isascii() and after.isdigit() and len(after) <= 5
        script = delayed(_PAGES[name], int(after)) if is_late else _PAGES[name]
        return _page(name, '<p id="odd">ready</p>', script=script)
    if name in _REDIRECTS:
        return redirect(f"{PREFIX}{_REDIRECTS[name]}")
    match name:
        case "hang":
            raise NoAnswer
        case "drip":
            return drip(stopping)
        case "endless.bin":
            return _endless(stopping)
        case "slow":
            stopping.wait(SLOW_SECONDS)
            return _page(name, "<p>at last</p>")
        case "limited":
            return Response(
                HTTPStatus.TOO_MANY_REQUESTS,
                b"too many requests",
                headers=(("Retry-After", str(RETRY_AFTER_SECONDS)),),
            )
        case "error":
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR, b"broken")
    return None


def drip(stopping: Event) -> Response:
    """A page at one byte per second."""

    def trickle() -> Iterator[bytes]:
        yield b"<!DOCTYPE html>"
        while not stopping.wait(1.0):
            yield b" "

    return Response(stream=trickle())


def _endless(stopping: Event) -> Response:
    """A file without end, at about 250 kB per second."""

    def pour() -> Iterator[bytes]:
        chunk = bytes(16_384)
        yield chunk
        while not stopping.wait(0.065):
            yield chunk

    headers = (("Content-Disposition", 'attachment; filename="endless.bin"'), ("Cache-Control", "no-store"))
    return Response(content_type="application/octet-stream", headers=headers, stream=pour())


def _page(title: str, content: str, *, script: str = "") -> Response:
    tag = f"<script>{script}</script>\n" if script else ""
    body = (
        f'<!DOCTYPE html>\n<html lang="en">\n'
        f'<head><meta charset="utf-8"><title>{escape(title)}</title></head>\n'
        f"<body>\n<h1>{escape(title)}</h1>\n{content}\n{tag}</body>\n</html>\n"
    )
    return Response(body=body.encode())
