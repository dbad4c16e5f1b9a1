"""The two faces of the site: the same pages under other paths, ids, classes and in another language."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are. Those of `user` and `video` are followed by a name or an id."""

    feed: str
    search: str
    login: str
    logout: str
    user: str
    video: str
    challenge: str
    api_feed: str
    api_like: str
    api_unlike: str
    api_follow: str


@dataclass(frozen=True, slots=True)
class Names:
    """Ids, form fields and classes that a load file's selectors meet."""

    card: str
    like: str
    liked: str
    follow: str
    following: str
    author: str
    hit: str
    error: str
    username: str
    password: str
    submit: str
    query: str
    query_id: str
    challenge: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Texts:
    """What is written on the pages."""

    tagline: str
    feed: str
    search: str
    log_in: str
    log_out: str
    welcome: str
    username: str
    password: str
    wrong: str
    hint: str
    like: str
    unlike: str
    follow: str
    following: str
    play: str
    search_for: str
    results: str
    no_results: str
    popular: str
    videos: str
    more_from: str
    loading: str
    end: str
    challenge: str
    challenge_text: str
    challenge_button: str
    limited: str
    broken: str
    missing: str
    back: str


@dataclass(frozen=True, slots=True)
class Markup:
    """One face. `lang` is the language of the titles too."""

    slug: str
    name: str
    lang: str
    paths: Paths
    names: Names
    texts: Texts

    def tokens(self) -> dict[str, str]:
        """What templates may say: `$p_feed` for a path, `$c_card` for a name, `$t_search` for a text."""
        return {
            "site": self.name,
            "lang": self.lang,
            **{f"p_{key}": value for key, value in asdict(self.paths).items()},
            **{f"c_{key}": value for key, value in asdict(self.names).items()},
            **{f"t_{key}": value for key, value in asdict(self.texts).items()},
        }


REEL = Markup(
    slug="reel",
    name="Reel",
    lang="en",
    paths=Paths(
        feed="/feed",
        search="/search",
        login="/login",
        logout="/logout",
        user="/user/",
        video="/video/",
        challenge="/challenge",
        api_feed="/api/feed",
        api_like="/api/like",
        api_unlike="/api/unlike",
        api_follow="/api/follow",
    ),
    names=Names(
        card="card",
        like="like",
        liked="liked",
        follow="follow",
        following="following",
        author="author",
        hit="hit",
        error="error",
        username="username",
        password="password",  # noqa: S106 - the field's id
        submit="submit",
        query="q",
        query_id="q",
        challenge="challenge",
        cookie="session",
    ),
    texts=Texts(
        tagline="Short films about small things.",
        feed="For you",
        search="Search",
        log_in="Log in",
        log_out="Log out",
        welcome="Welcome back",
        username="Username",
        password="Password",  # noqa: S106 - the field's label
        wrong="Wrong username or password.",
        hint="Demo accounts: demo01, demo02 and so on. The password is “warm-” and the username.",
        like="Like",
        unlike="Remove like",
        follow="Follow",
        following="Following",
        play="Play or pause",
        search_for="Search films",
        results="Results for",
        no_results="Nothing is called that. Popular now:",
        popular="Popular now",
        videos="films",
        more_from="More from",
        loading="Loading more",
        end="You have seen it all.",
        challenge="Is it you?",
        challenge_text="We noticed unusual activity. A person has to confirm before this account goes on.",
        challenge_button="I am a person",
        limited="Too many requests. Please wait a moment.",
        broken="Something went wrong on our side.",
        missing="There is nothing here.",
        back="Back to the feed",
    ),
)

ROLLE = Markup(
    slug="rolle",
    name="Rolle",
    lang="de",
    paths=Paths(
        feed="/start",
        search="/suche",
        login="/anmelden",
        logout="/abmelden",
        user="/profil/",
        video="/film/",
        challenge="/pruefung",
        api_feed="/daten/start",
        api_like="/daten/herz",
        api_unlike="/daten/herz-weg",
        api_follow="/daten/folgen",
    ),
    names=Names(
        card="tile",
        like="heart",
        liked="on",
        follow="folgen",
        following="gefolgt",
        author="von",
        hit="treffer",
        error="fehler",
        username="mail",
        password="kennwort",  # noqa: S106 - the field's id
        submit="los",
        query="stichwort",
        query_id="suchfeld",
        challenge="pruefung",
        cookie="sitzung",
    ),
    texts=Texts(
        tagline="Kurze Filme über kleine Dinge.",
        feed="Für dich",
        search="Suche",
        log_in="Anmelden",
        log_out="Abmelden",
        welcome="Schön, dass du da bist",
        username="E-Mail oder Name",
        password="Kennwort",  # noqa: S106 - the field's label
        wrong="Name oder Kennwort ist falsch.",
        hint="Konten zum Ausprobieren: demo01, demo02 und so weiter. Das Kennwort ist „warm-“ und der Name.",
        like="Gefällt mir",
        unlike="Herz zurücknehmen",
        follow="Folgen",
        following="Gefolgt",
        play="Abspielen oder anhalten",
        search_for="Filme suchen",
        results="Treffer für",
        no_results="Nichts heißt so. Gerade beliebt:",
        popular="Gerade beliebt",
        videos="Filme",
        more_from="Mehr von",
        loading="Mehr wird geladen",
        end="Du hast alles gesehen.",
        challenge="Bist du es?",
        challenge_text="Uns ist etwas aufgefallen. Ein Mensch muss bestätigen, bevor es hier weitergeht.",
        challenge_button="Ich bin ein Mensch",
        limited="Zu viele Anfragen. Bitte kurz warten.",
        broken="Bei uns ist etwas schiefgegangen.",
        missing="Hier ist nichts.",
        back="Zurück zum Start",
    ),
)
