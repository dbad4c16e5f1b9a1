"""The films and their makers, all worked out from numbers: the same on every start."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from functools import lru_cache

VIDEOS = 400
PAGE_SIZE = 8
LAST_PAGE = VIDEOS // PAGE_SIZE
HITS = 10

AUTHORS = (
    "ada.wells", "bruno", "carla_m", "dario", "elif.k", "fern", "gustav", "hana",
    "ines.p", "jonas", "kavya", "lena_w", "milo", "nadia.r", "oskar", "priya",
    "quentin", "rosa", "sven", "tomoko", "uma", "viktor_s", "wanda", "yuki",
)  # fmt: skip
_TOPICS = (
    ("tea", "Tee"), ("coffee", "Kaffee"), ("bread", "Brot"), ("gardens", "Gärten"),
    ("bicycles", "Fahrräder"), ("pottery", "Keramik"), ("trains", "Züge"), ("birds", "Vögel"),
    ("origami", "Origami"), ("noodles", "Nudeln"), ("maps", "Karten"), ("clouds", "Wolken"),
    ("harbours", "Häfen"), ("lanterns", "Laternen"), ("chess", "Schach"), ("rain", "Regen"),
)  # fmt: skip
_TITLES = {
    "en": (
        "{} in one minute", "A quiet evening with {}", "Learning about {}, day {}", "Three ideas for {}",
        "All about {}, slowly", "What {} taught me", "Early morning, {} and me", "A small film about {}",
    ),
    "de": (
        "{} in einer Minute", "Ein ruhiger Abend mit {}", "Alles über {}, Tag {}", "Drei Ideen zu {}",
        "{}, ganz in Ruhe", "Was ich über {} weiß", "Früh am Morgen: {}", "Ein kleiner Film über {}",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Video:
    """A film. `scene` is the number of its picture, `seconds` its length."""

    id: str
    title: str
    author: str
    seconds: int
    likes: int
    scene: int


@lru_cache(maxsize=2 * VIDEOS)
def _video(number: int, lang: str) -> Video:
    dice = random.Random(number)
    topic = _TOPICS[dice.randrange(len(_TOPICS))][lang == "de"]
    title = _TITLES[lang][dice.randrange(len(_TITLES[lang]))].format(topic, 1 + number % 30)
    return Video(
        id=str(number),
        title=title[0].upper() + title[1:],
        author=AUTHORS[dice.randrange(len(AUTHORS))],
        seconds=dice.randrange(8, 60),
        likes=int(10 ** dice.uniform(1.5, 5)),
        scene=number,
    )


def find_video(video_id: str, lang: str) -> Video | None:
    """The film with this id, if there is one."""
    if not (video_id.isascii() and video_id.isdigit() and len(video_id) <= 4):
        return None
    number = int(video_id)
    return _video(number, lang) if 1 <= number <= VIDEOS and str(number) == video_id else None


def feed_page(username: str, page: int, lang: str) -> list[Video]:
    """Page 1 to `LAST_PAGE` of an account's feed; every account begins at a place of its own."""
    if not 1 <= page <= LAST_PAGE:
        return []
    start = zlib.crc32(username.encode()) + (page - 1) * PAGE_SIZE
    return [_video((start + place) % VIDEOS + 1, lang) for place in range(PAGE_SIZE)]


def videos_of(author: str, lang: str) -> list[Video]:
    """The films of an author."""
    return [video for video in _all(lang) if video.author == author]


def search(text: str, lang: str) -> list[Video]:
    """At most `HITS` films whose title has one of the words; none if none has."""
    words = text.lower().split()
    return [video for video in _all(lang) if any(word in video.title.lower() for word in words)][:HITS]


def popular(lang: str) -> list[Video]:
    """The `HITS` most liked films."""
    return sorted(_all(lang), key=lambda video: -video.likes)[:HITS]


@lru_cache(maxsize=2)
def _all(lang: str) -> tuple[Video, ...]:
    return tuple(_video(number, lang) for number in range(1, VIDEOS + 1))
