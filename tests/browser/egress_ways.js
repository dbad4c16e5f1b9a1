// The ways out of a page. `run(target)` tries all of them at once and settles when each has ended, or had
// its time; `target(way)` is a URL for that way alone, so that a server can tell which ones arrived.
const SECONDS = 4;
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const here = (path, url) => `${path}?u=${encodeURIComponent(url)}`;
const socket = (url) => url.replace(/^http/, 'ws');

function element(name, attributes, parent = document.body) {
  const made = document.createElement(name);
  const ended = new Promise((done) => { made.onload = made.onerror = done; });
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return Object.assign(ended, { made });
}
const css = (text) => element('style', {}).made.append(text);
const styled = (style) => { element('div', { style: `${style};width:9px;height:9px` }).made.append('x'); };
const frame = (src) => element('iframe', { src });
const linked = (rel, extra = {}) => (url) => element('link', { rel, href: url, ...extra }, document.head);
const svg = (inner) => { element('div', {}).made.innerHTML = `<svg xmlns:xlink="http://www.w3.org/1999/xlink">${inner}</svg>`; };
const media = (name, inner) => { element('div', {}).made.innerHTML = `<${name} preload=auto muted autoplay>${inner}</${name}>`; };
const opened = (socketLike) => new Promise((done) => { socketLike.onopen = socketLike.onerror = socketLike.onclose = done; });
const answered = (port) => new Promise((done) => { port.onmessage = done; });
const worker = (how, url) => answered(new Worker(here('/worker.js', url) + `&how=${how}`));
const shared = (how, url) => answered(new SharedWorker(here('/worker.js', url) + `&how=${how}`).port);
async function serviceWorker(how, url) {
  const registered = await navigator.serviceWorker.register(here('/worker.js', url) + `&how=${how}`, { scope: `/scope/${how}/` });
  await sleep(2);
  await registered.unregister();
}
function form(url, attributes, name) {
  const made = element('form', { action: url, target: name, ...attributes }).made;
  element('iframe', { name });
  made.innerHTML = '<input name=a value=b>';
  made.submit();
}
function clicked(attributes) { element('a', attributes).made.click(); }
async function peer(servers) {
  const made = new RTCPeerConnection({ iceServers: servers });
  made.createDataChannel('x');
  const gathered = new Promise((done) => { made.onicegatheringstatechange = () => made.iceGatheringState === 'complete' && done(); });
  await made.setLocalDescription(await made.createOffer());
  await Promise.race([gathered, sleep(2)]);
  made.close();
}

const WAYS = {
  // Documents and what they load.
  'img': (u) => element('img', { src: u }),
  'img-srcset': (u) => element('img', { srcset: `${u} 1x` }),
  'picture': (u) => { element('picture', {}).made.innerHTML = `<source srcset="${u}"><img src="data:,">`; },
  'input-image': (u) => element('input', { type: 'image', src: u }),
  'body-background': (u) => document.body.setAttribute('background', u),
  'script': (u) => element('script', { src: u }),
  'script-module': (u) => element('script', { type: 'module', src: u }),
  'import': (u) => import(u),
  'document-write': (u) => { frame('about:blank').made.contentDocument.write(`<img src="${u}">`); },
  'iframe': (u) => frame(u),
  'iframe-srcdoc': (u) => element('iframe', { srcdoc: `<img src="${u}">` }),
  'object': (u) => element('object', { data: u }),
  'embed': (u) => element('embed', { src: u }),
  'video': (u) => media('video', `<source src="${u}">`),
  'video-poster': (u) => element('video', { poster: u }),
  'audio': (u) => element('audio', { src: u, preload: 'auto' }),
  'track': (u) => media('video', `<source src="/silence.wav"><track default src="${u}">`),
  'base': (u) => frame(here('/page/base', u)),
  'user-info': (u) => element('img', { src: u.replace('//', `//${location.host.replace(':', '%3A')}@`) }),
  // Styles.
  'css': (u) => linked('stylesheet')(u),
  'css-import': (u) => css(`@import url("${u}");`),
  'css-background': (u) => styled(`background:url(${u})`),
  'css-image-set': (u) => styled(`background-image:image-set("${u}" 1x)`),
  'css-mask': (u) => styled(`mask-image:url(${u})`),
  'css-border': (u) => styled(`border:1px solid;border-image:url(${u}) 1`),
  'css-list': (u) => styled(`display:list-item;list-style-image:url(${u})`),
  'css-content': (u) => styled(`content:url(${u})`),
  'css-cursor': (u) => styled(`cursor:url(${u}),auto`),
  'css-font': (u) => { css(`@font-face{font-family:f;src:url(${u})}`); styled('font-family:f'); },
  'font-face': (u) => new FontFace('g', `url(${u})`).load(),
  'svg-image': (u) => svg(`<image href="${u}" width="9" height="9"/>`),
  'svg-xlink': (u) => svg(`<image xlink:href="${u}" width="9" height="9"/>`),
  'svg-foreign': (u) => svg(`<foreignObject width="9" height="9"><img src="${u}"></foreignObject>`),
  'svg-fe-image': (u) => svg(`<filter id="f"><feImage href="${u}"/></filter><rect width="9" height="9" filter="url(#f)"/>`),
  // Scripts.
  'fetch': (u) => fetch(u),
  'fetch-no-cors': (u) => fetch(u, { mode: 'no-cors' }),
  'fetch-post': (u) => fetch(u, { method: 'POST', body: 'x' }),
  'fetch-keepalive': (u) => fetch(u, { keepalive: true }),
  'fetch-preflight': (u) => fetch(u, { headers: { 'X-Custom': '1' } }),
  'fetch-referrer-less': (u) => fetch(u.replace('http:', ''), { referrerPolicy: 'no-referrer' }),
  'xhr': (u) => new Promise((done) => { const x = new XMLHttpRequest(); x.onloadend = done; x.open('GET', u); x.send(); }),
  'beacon': (u) => { navigator.sendBeacon(u, 'x'); },
  'event-source': (u) => opened(new EventSource(u)),
  'web-socket': (u) => opened(new WebSocket(socket(u))),
  'iframe-web-socket': (u) => frame(here('/page/socket', u)),
  'iframe-fetch': (u) => frame(here('/page/fetch', u)),
  'unload-beacon': (u) => { const f = frame(here('/page/unload-beacon', u)); return f.then(() => f.made.remove()); },
  'unload-fetch': (u) => { const f = frame(here('/page/unload-fetch', u)); return f.then(() => f.made.remove()); },
  'worker': (u) => new Worker(URL.createObjectURL(new Blob([`fetch(${JSON.stringify(u)})`]))),
  'worker-fetch': (u) => worker('fetch', u),
  'worker-import': (u) => worker('importScripts', u),
  'worker-socket': (u) => worker('socket', u),
  'worker-xhr': (u) => worker('xhr', u),
  'shared-worker-fetch': (u) => shared('fetch', u),
  'shared-worker-import': (u) => shared('importScripts', u),
  'shared-worker-socket': (u) => shared('socket', u),
  'service-worker-fetch': (u) => serviceWorker('fetch', u),
  'service-worker-import': (u) => serviceWorker('importScripts', u),
  'audio-worklet': (u) => new AudioContext().audioWorklet.addModule(u),
  'paint-worklet': (u) => CSS.paintWorklet.addModule(u),
  // Hints.
  'prefetch': linked('prefetch'),
  'preload': linked('preload', { as: 'image' }),
  'module-preload': linked('modulepreload'),
  'preconnect': linked('preconnect'),
  'dns-prefetch': linked('dns-prefetch'),
  'icon': linked('icon'),
  'manifest': linked('manifest', { crossorigin: 'anonymous' }),
  'link-header': (u) => frame(here('/page/link-header', u)),
  'speculation': (u) => { element('script', { type: 'speculationrules' }).made.append(JSON.stringify({ prefetch: [{ urls: [u], eagerness: 'immediate' }] })); },
  // Navigations, redirects, windows.
  'form-get': (u) => form(u, {}, 'form-get'),
  'form-post': (u) => form(u, { method: 'post' }, 'form-post'),
  'form-multipart': (u) => form(u, { method: 'post', enctype: 'multipart/form-data' }, 'form-multipart'),
  'form-blank': (u) => { const f = element('form', { action: u, target: '_blank' }).made; f.submit(); },
  'location': (u) => frame(here('/page/location', u)),
  'location-replace': (u) => frame(here('/page/location-replace', u)),
  'meta-refresh': (u) => frame(here('/page/meta-refresh', u)),
  'refresh-header': (u) => frame(here('/page/refresh-header', u)),
  'history': (u) => frame(here('/page/history', u)),
  'window-open': (u) => { window.open(u); },
  'window-top-location': (u) => { window.open(here('/page/location', u)); },
  'link-blank': (u) => clicked({ href: u, target: '_blank', rel: 'noopener' }),
  'link-ping': (u) => clicked({ href: '#x', ping: u }),
  'link-download': (u) => frame(here('/page/link-download', u)),
  ...Object.fromEntries([301, 302, 303, 307, 308].flatMap((code) => [
    [`redirect-${code}`, (u) => element('img', { src: here(`/redirect/${code}`, u) })],
    [`redirect-post-${code}`, (u) => fetch(here(`/redirect/${code}`, u), { method: 'POST', body: 'x', mode: 'no-cors' })],
    [`redirect-frame-${code}`, (u) => frame(here(`/redirect/${code}`, u))],
  ])),
  'redirect-script': (u) => element('script', { src: here('/redirect/302', u) }),
  'redirect-worker-fetch': (u) => worker('fetch', location.origin + here('/redirect/307', u)),
  // Reports.
  'csp-report': (u) => frame(here('/page/csp-report', u)),
  'csp-report-to': (u) => frame(here('/page/csp-report-to', u)),
  'xslt': (u) => frame(here('/page/xslt', u)),
};

// The same place by other names; no name of its own tells which way it was.
const SPELLED = {
  fetch: (u) => fetch(u, { mode: 'no-cors' }),
  img: (u) => element('img', { src: u }),
  socket: (u) => opened(new WebSocket(socket(u))),
};

// Not TCP, or not HTTP: there is nothing for a proxy to refuse.
const PEERS = {
  'stun': ({ host, udp }) => peer([{ urls: `stun:${host}:${udp}` }]),
  'turn-udp': ({ host, udp }) => peer([{ urls: `turn:${host}:${udp}?transport=udp`, username: 'u', credential: 'c' }]),
  'turn-tcp': ({ host, tcp }) => peer([{ urls: `turn:${host}:${tcp}?transport=tcp`, username: 'u', credential: 'c' }]),
  'turns': ({ host, tcp }) => peer([{ urls: `turns:${host}:${tcp}?transport=tcp`, username: 'u', credential: 'c' }]),
  'web-transport': ({ host, udp }) => new WebTransport(`https://${host}:${udp}/x`).ready,
};

// A page cannot go there by itself; nothing to hit, but no such page may be open afterwards.
const SCHEMES = ['file:///etc/hostname', 'chrome://version', 'view-source:http://evil.test/'];

async function run({ suffix, port, spellings, peers }) {
  const attempts = [];
  const attempt = (work) => attempts.push(Promise.race([sleep(SECONDS), (async () => work())().catch(() => null)]));
  for (const [way, work] of Object.entries(WAYS)) attempt(() => work(`http://${way}.${suffix}:${port}/hit/${way}`));
  for (const [place, origin] of Object.entries(spellings)) {
    for (const [how, work] of Object.entries(SPELLED)) attempt(() => work(`${origin}/hit/${place}-${how}`));
  }
  for (const work of peers ? Object.values(PEERS) : []) attempt(() => work(peers));
  for (const url of SCHEMES) {
    attempt(() => window.open(url));
    attempt(() => frame(url));
  }
  await Promise.all(attempts);
  return Object.keys(WAYS);
}
