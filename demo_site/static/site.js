"use strict";
(() => {
  const config = JSON.parse(document.body.dataset.config);
  if (!config.username) return;

  // What a site leaves in a browser: an entry in localStorage and a record in IndexedDB.
  localStorage.setItem(config.site + ".visitor", JSON.stringify({ username: config.username, theme: "auto" }));
  const opening = indexedDB.open(config.site, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("preferences", { keyPath: "key" });
  opening.onsuccess = () => {
    opening.result.transaction("preferences", "readwrite").objectStore("preferences")
      .put({ key: "visitor", value: config.username });
  };

  async function post(path, id) {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ id }),
      keepalive: true, // a visitor who leaves right after the click has still clicked
    });
    if (answer.status === 401) location.assign(config.login);
    return answer.ok;
  }

  function showLiked(id, liked) {
    for (const button of document.querySelectorAll("[data-like='" + id + "']")) {
      button.classList.toggle(config.liked, liked);
      button.classList.toggle("ui-pop", liked);
      button.setAttribute("aria-pressed", String(liked));
    }
    for (const button of document.querySelectorAll("[data-unlike='" + id + "']")) button.hidden = !liked;
  }

  function showFollowed(name) {
    for (const button of document.querySelectorAll("[data-follow='" + name + "']")) {
      button.classList.add(config.following);
      button.dataset.on = "";
      button.textContent = config.followingText;
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { like, unlike, follow } = button.dataset;
    if (like && (await post(config.apiLike, like))) showLiked(like, true);
    if (unlike && (await post(config.apiUnlike, unlike))) showLiked(unlike, false);
    if (follow && (await post(config.apiFollow, follow))) showFollowed(follow);
  });

  // The feed goes on when its end comes near.
  const feed = document.querySelector("[data-feed]");
  const more = document.querySelector("[data-more]");
  let loading = false;

  async function loadMore() {
    const left = document.documentElement.scrollHeight - scrollY - innerHeight;
    if (loading || !feed.dataset.next || left > 600) return;
    loading = true;
    const answer = await fetch(config.apiFeed + "?page=" + feed.dataset.next);
    if (answer.ok) {
      const page = await answer.json();
      feed.insertAdjacentHTML("beforeend", page.cards);
      feed.dataset.next = page.next || "";
      if (!page.next) more.textContent = more.dataset.end;
    } else {
      feed.dataset.next = "";
      if (answer.status === 401) location.assign(config.login);
    }
    loading = false;
    loadMore();
  }

  // One tile plays at a time: the first that is wholly in view. Two frames a second are enough.
  let playing = null;
  let done = 0;

  function choose() {
    const tiles = [...document.querySelectorAll("[data-video]")];
    const next = tiles.find((tile) => tile.getBoundingClientRect().top >= 0) || null;
    if (next === playing) return;
    if (playing) playing.classList.remove("ui-playing", "ui-beat");
    if (next) next.classList.add("ui-playing");
    playing = next;
    done = 0;
  }

  const player = document.querySelector("[data-player]");
  if (player) {
    const clock = player.querySelector("[data-clock]");
    const seconds = Number(player.dataset.seconds);
    let at = 0;
    player.classList.add("ui-playing");
    player.addEventListener("click", () => player.classList.toggle("ui-playing"));
    setInterval(() => {
      if (!player.classList.contains("ui-playing")) return;
      at = (at + 0.5) % seconds;
      clock.textContent = Math.floor(at / 60) + ":" + String(Math.floor(at % 60)).padStart(2, "0");
      player.style.setProperty("--done", at / seconds);
    }, 500);
  }
  if (feed) {
    addEventListener("scroll", () => { choose(); loadMore(); }, { passive: true });
    setInterval(() => {
      done = (done + 0.04) % 1;
      if (!playing) return;
      playing.style.setProperty("--done", done);
      playing.classList.toggle("ui-beat");
    }, 500);
    choose();
    if (document.documentElement.scrollHeight <= innerHeight) loadMore();
  }
})();
