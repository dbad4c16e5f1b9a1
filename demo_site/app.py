"""What the site answers: who is asking, how that account is treated, and the row that it leaves."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from threading import Event

from demo_site import catalogue, hostile
from demo_site.behaviours import PAGES_BEFORE_LOGOUT as SHOWN
from demo_site.behaviours import RETRY_AFTER_SECONDS, SLOW_SECONDS, Behaviour, behaviour_of, may_log_in
from demo_site.http import NoAnswer, Request, Response, as_json, redirect
from demo_site.ledger import BY_SITE, Action, Ledger
from demo_site.markup import Markup
from demo_site.media import picture
from demo_site.pages import STATIC_TYPES, Pages, static_file
from demo_site.sessions import Session, Sessions

COOKIE_SECONDS = 30 * 24 * 3600
LEDGER_PAGE_ROWS = 200
_CACHED = (("Cache-Control", "public, max-age=3600"),)

View = Callable[[Request, Session], Response]


class App:
    """A request in, a response out. Called from many threads at once."""

    def __init__(
        self, ledger: Ledger, sessions: Sessions, markup: Markup, *, accounts: int, latency_ms: int
    ) -> None:
        self.ledger, self.sessions, self.markup = ledger, sessions, markup
        self.accounts, self.latency_seconds = accounts, latency_ms / 1000
        self.stopping = Event()
        self.pages = Pages(markup)
        paths = markup.paths
        self._documents: dict[str, View] = {paths.feed: self._feed, paths.search: self._search}
        self._below: dict[str, View] = {paths.user: self._user, paths.video: self._video}
        self._calls: dict[str, tuple[str, View]] = {
            paths.api_feed: ("GET", self._more),
            paths.api_like: ("POST", self._like),
            paths.api_unlike: ("POST", self._unlike),
            paths.api_follow: ("POST", self._follow),
        }

    def respond(self, request: Request) -> Response:
        """Raises `NoAnswer` when there is to be none."""
        if request.path.startswith("/ledger"):
            return self._ledger(request)
        session = self.sessions.get(request.cookies.get(self.markup.names.cookie))
        self._take_time(request, session)
        if session and session.behaviour is Behaviour.LIMITED:
            return self._limited(request, session.username, session.name)
        return self._public(request, session) or self._private(request, session)

    # Without a session

    def _public(self, request: Request, session: Session | None) -> Response | None:
        """The answer for a path that asks for no session; None if it does."""
        paths = self.markup.paths
        if request.path.startswith("/static/"):
            return self._static(request.path.removeprefix("/static/"))
        if request.path.startswith("/media/"):
            return self._media(request.path.removeprefix("/media/"))
        if request.path.startswith(hostile.PREFIX):
            return hostile.respond(request, self.stopping) or self._missing()
        if request.path == "/":
            return redirect(paths.feed if session else paths.login)
        if request.path == paths.login:
            if request.method == "POST":
                return self._log_in(request)
            return redirect(paths.feed) if session else Response(body=self.pages.login())
        return None

    def _log_in(self, request: Request) -> Response:
        names = self.markup.names
        username = request.form.get(names.username, "").strip()
        if behaviour_of(username) is Behaviour.LIMITED:
            return self._limited(request, username, "")
        if not may_log_in(username, request.form.get(names.password, ""), accounts=self.accounts):
            self.ledger.append(username, Action.LOGIN_FAILED)
            return Response(body=self.pages.login(typed=username, failed=True))
        session = self.sessions.open(username)
        self.ledger.append(username, Action.LOGIN, session=session.name)
        cookie = f"{names.cookie}={session.token}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax"
        return redirect(self.markup.paths.feed, status=HTTPStatus.SEE_OTHER, cookie=cookie)

    def _ledger(self, request: Request) -> Response:
        """What the tests and people read; never delayed, never a row itself."""
        if request.path == "/ledger":
            return Response(
                body=self.pages.ledger(self.ledger.summary(), self.ledger.newest(LEDGER_PAGE_ROWS))
            )
        if request.path == "/ledger/summary.json":
            return as_json(self.ledger.summary())
        if request.path != "/ledger.json":
            return self._missing()
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 16):
            return as_json({"error": "after: not an id"}, status=HTTPStatus.BAD_REQUEST)
        rows = self.ledger.rows(
            after=int(after), account=request.query.get("account"), action=request.query.get("action")
        )
        return as_json(rows)

    def _static(self, name: str) -> Response:
        if name not in STATIC_TYPES:
            return self._missing()
        return Response(body=static_file(name), content_type=STATIC_TYPES[name], headers=_CACHED)

    def _media(self, name: str) -> Response:
        number = name.removesuffix(".png")
        if number == name or not (number.isascii() and number.isdigit() and len(number) <= 4):
            return self._missing()
        return Response(body=picture(int(number)), content_type="image/png", headers=_CACHED)

    # With a session

    def _private(self, request: Request, session: Session | None) -> Response:
        paths = self.markup.paths
        method, call = self._calls.get(request.path, ("", None))
        view = self._documents.get(request.path) or next(
            (view for start, view in self._below.items() if request.path.startswith(start)), None
        )
        if not (call or view or request.path in (paths.logout, paths.challenge)):
            return self._missing()
        if session is None:
            refusal = as_json({"error": "not logged in"}, status=HTTPStatus.UNAUTHORIZED)
            return refusal if call else redirect(paths.login)
        if request.path == paths.logout:
            return self._log_out(session)
        if self.sessions.is_challenged(session):
            return self._challenge(request, session, is_call=call is not None)
        if call:
            return call(request, session) if request.method == method else self._not_allowed(method)
        if view is None:
            return redirect(paths.feed, status=HTTPStatus.SEE_OTHER)
        return self._show(view, request, session) if request.method == "GET" else self._not_allowed("GET")

    def _show(self, view: View, request: Request, session: Session) -> Response:
        response = view(request, session)
        if session.behaviour is Behaviour.LOGOUT and response.status == HTTPStatus.OK:
            last = self.sessions.count_document(session) >= SHOWN
            if last and self.sessions.drop(session):
                self._note(session, Action.LOGOUT, BY_SITE)
        return response

    def _log_out(self, session: Session) -> Response:
        names, paths = self.markup.names, self.markup.paths
        if self.sessions.drop(session):
            self._note(session, Action.LOGOUT)
        return redirect(
            paths.login, status=HTTPStatus.SEE_OTHER, cookie=f"{names.cookie}=; Path=/; Max-Age=0"
        )

    def _challenge(self, request: Request, session: Session, *, is_call: bool) -> Response:
        if request.path == self.markup.paths.challenge and request.method == "POST":
            self.sessions.pass_challenge(session)
            self._note(session, Action.CHALLENGE_PASSED)
            return redirect(self.markup.paths.feed, status=HTTPStatus.SEE_OTHER)
        if is_call:
            return as_json({"error": "challenge"}, status=HTTPStatus.FORBIDDEN)
        self._note(session, Action.CHALLENGE, request.path)
        return Response(body=self.pages.challenge(session.username))

    def _feed(self, request: Request, session: Session) -> Response:
        match session.behaviour:
            case Behaviour.LOOP:
                return redirect(self.markup.paths.feed)
            case Behaviour.ERROR:
                self._note(session, Action.REFUSED, f"500 {request.path}")
                return self._failure(HTTPStatus.INTERNAL_SERVER_ERROR, self.markup.texts.broken)
        self._note(session, Action.FEED)
        match session.behaviour:
            case Behaviour.HANG:
                raise NoAnswer
            case Behaviour.DRIP:
                return hostile.drip(self.stopping)
        liked, followed = self._state(session)
        script = hostile.script_for(session.username)
        return Response(body=self.pages.feed(session.username, liked, followed, script=script))

    def _search(self, request: Request, session: Session) -> Response:
        text = request.query.get(self.markup.names.query, "").strip()[:200]
        if text:
            self._note(session, Action.SEARCH, text)
        return Response(body=self.pages.search(session.username, text))

    def _user(self, request: Request, session: Session) -> Response:
        author = request.path.removeprefix(self.markup.paths.user)
        if author not in catalogue.AUTHORS:
            return self._missing()
        self._note(session, Action.USER, author)
        return Response(body=self.pages.user(session.username, author, self._state(session)[1]))

    def _video(self, request: Request, session: Session) -> Response:
        video = catalogue.find_video(request.path.removeprefix(self.markup.paths.video), self.markup.lang)
        if video is None:
            return self._missing()
        self._note(session, Action.VIDEO, video.id)
        return Response(body=self.pages.video(session.username, video, *self._state(session)))

    def _more(self, request: Request, session: Session) -> Response:
        text = request.query.get("page", "")
        page = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
        if not 2 <= page <= catalogue.LAST_PAGE:
            return as_json({"error": "no such page"}, status=HTTPStatus.NOT_FOUND)
        self._note(session, Action.SCROLL, str(page))
        cards = self.pages.cards(session.username, page, *self._state(session))
        return as_json({"cards": cards, "next": page + 1 if page < catalogue.LAST_PAGE else None})

    def _like(self, request: Request, session: Session) -> Response:
        return self._mark_video(request, session, Action.LIKE)

    def _unlike(self, request: Request, session: Session) -> Response:
        return self._mark_video(request, session, Action.UNLIKE)

    def _mark_video(self, request: Request, session: Session, action: Action) -> Response:
        video = catalogue.find_video(request.form.get("id", ""), self.markup.lang)
        if video is None:
            return as_json({"error": "no such video"}, status=HTTPStatus.NOT_FOUND)
        return as_json({"id": video.id, "repeat": self._note(session, action, video.id)})

    def _follow(self, request: Request, session: Session) -> Response:
        author = request.form.get("id", "")
        if author not in catalogue.AUTHORS:
            return as_json({"error": "no such author"}, status=HTTPStatus.NOT_FOUND)
        return as_json({"id": author, "repeat": self._note(session, Action.FOLLOW, author)})

    # What the views share

    def _note(self, session: Session, action: Action, obj: str = "") -> bool:
        return self.ledger.append(session.username, action, obj, session=session.name)

    def _state(self, session: Session) -> tuple[frozenset[str], frozenset[str]]:
        return self.ledger.liked(session.username), self.ledger.followed(session.username)

    def _take_time(self, request: Request, session: Session | None) -> None:
        is_slow = (session and session.behaviour is Behaviour.SLOW) or (
            behaviour_of(request.form.get(self.markup.names.username, "")) is Behaviour.SLOW
        )
        seconds = self.latency_seconds + (SLOW_SECONDS if is_slow else 0)
        if seconds:
            self.stopping.wait(seconds)

    def _limited(self, request: Request, username: str, session: str) -> Response:
        self.ledger.append(username, Action.REFUSED, f"429 {request.path}", session=session)
        wait = ("Retry-After", str(RETRY_AFTER_SECONDS))
        return self._failure(HTTPStatus.TOO_MANY_REQUESTS, self.markup.texts.limited, wait)

    def _missing(self) -> Response:
        return self._failure(HTTPStatus.NOT_FOUND, self.markup.texts.missing)

    def _not_allowed(self, method: str) -> Response:
        status = HTTPStatus.METHOD_NOT_ALLOWED
        return self._failure(status, status.phrase, ("Allow", method))

    def _failure(self, status: HTTPStatus, text: str, *headers: tuple[str, str]) -> Response:
        body = self.pages.message(status, text)
        return Response(status, body, headers=(("Cache-Control", "no-store"), *headers))
