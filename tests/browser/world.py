"""The site of the page contract: screens that the fake shows and that the real site serves."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes import FakePage, Screen

FEED_HTML = """<!doctype html><title>Feed</title>
<h1>Feed</h1>
<div class="card"><a href="/one">one</a></div>
<div class="card" style="display:none"><a href="/hidden">hidden</a></div>
<div class="card"><a href="two?x=1#y">two</a></div>
<a class="out" href="https://elsewhere.test/three"><span class="inner">three</span></a>
<a class="mail" href="mailto:someone@elsewhere.test">mail</a>
<button id="like" onclick="add('<p class=liked>liked</p>')">like</button>
<button id="next" onclick="location.href='/one'">next</button>
<button id="blocked" disabled>blocked</button>
<form action="/results"><input id="q" name="q"></form><input id="secret" type="password">
<script>
  function add(html) { document.body.insertAdjacentHTML('beforeend', html) }
  setTimeout(() => add('<p id=late>late</p>'), 200)
</script>
"""


def _like(page: FakePage) -> None:
    page.show(".liked")


def world(port: int) -> dict[str, Screen]:
    """The screens, for a site on that port of 127.0.0.1."""
    return {
        "/feed": Screen(
            visible={
                "h1": 1,
                ".card": 2,
                ".out": 1,
                ".inner": 1,
                "#like": 1,
                "#next": 1,
                "#q": 1,
                "#secret": 1,
                "button": 3,
            },
            appears={"#late": 0.2},
            links={
                ".card": ["/one", "/hidden", "two?x=1#y"],
                ".inner": ["https://elsewhere.test/three"],
                ".mail": ["mailto:someone@elsewhere.test"],
                ".card, .out": ["/one", "/hidden", "two?x=1#y", "https://elsewhere.test/three"],
            },
            on_click={"#like": _like, "#next": "/one"},
            on_enter={"#q": "/results"},
            html=FEED_HTML,
        ),
        "/one": Screen(visible={"#one": 1}, html="<!doctype html><p id=one>one</p>"),
        "/results": Screen(visible={".hit": 1}, html="<!doctype html><p class=hit>hit</p>"),
        "/moved": Screen(redirect="/one"),
        "/loop": Screen(redirect="/loop"),
        "/broken": Screen(status=500, html="<p>broken</p>"),
        "/missing": Screen(status=404, html="<p>missing</p>"),
        "/slow-down": Screen(status=429, retry_after=timedelta(seconds=7), html="<p>slow down</p>"),
        "/slow-down-silently": Screen(status=429, html="<p>slow down</p>"),
        "/hangs": Screen(hangs=True),
        "/cut": Screen(error="net::ERR_EMPTY_RESPONSE"),
        "/away": Screen(redirect="http://elsewhere.invalid/"),
        "/off-site": Screen(redirect=f"http://localhost:{port}/one"),
    }
