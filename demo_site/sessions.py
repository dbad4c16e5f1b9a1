"""Who is logged in."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from threading import Lock

from demo_site.behaviours import Behaviour, behaviour_of


@dataclass(slots=True)
class Session:
    """One log-in. `name` tells sessions apart in the ledger without giving the cookie away."""

    token: str
    name: str
    username: str
    behaviour: Behaviour
    documents: int = 0


class Sessions:
    """The open sessions, and which accounts have passed their challenge. Kept in memory only."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[str, Session] = {}
        self._passed: set[str] = set()

    def open(self, username: str) -> Session:
        token = secrets.token_urlsafe(18)
        name = hashlib.sha256(token.encode()).hexdigest()[:10]
        session = Session(token, name, username, behaviour_of(username))
        with self._lock:
            self._open[token] = session
        return session

    def get(self, token: str | None) -> Session | None:
        with self._lock:
            return self._open.get(token) if token else None

    def drop(self, session: Session) -> bool:
        """End a session; false if it had ended already."""
        with self._lock:
            return self._open.pop(session.token, None) is not None

    def drop_all(self, username: str) -> list[Session]:
        """End every session of an account; returns them."""
        with self._lock:
            dropped = [session for session in self._open.values() if session.username == username]
            for session in dropped:
                del self._open[session.token]
            return dropped

    def count_document(self, session: Session) -> int:
        """Count one more document shown to the session; returns the number so far."""
        with self._lock:
            session.documents += 1
            return session.documents

    def pass_challenge(self, session: Session) -> None:
        with self._lock:
            self._passed.add(session.username)

    def is_challenged(self, session: Session) -> bool:
        with self._lock:
            return session.behaviour is Behaviour.CHALLENGE and session.username not in self._passed
