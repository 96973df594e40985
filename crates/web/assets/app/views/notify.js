// Short messages at the edge of the page, and words for screen readers only.

import { byId, h } from '../dom.js';

const SHOWN_MS = 7_000;

/** Says something aloud without showing it: it is visible elsewhere already. */
export function announce(text) {
  const line = h('span', { text });
  byId('announcer').append(line);
  setTimeout(() => line.remove(), SHOWN_MS);
}

/** Shows a short message for a while; `kind` is `info` or `error`. */
export function toast(text, kind = 'info') {
  const close = () => box.remove();
  const box = h('div', { class: `toast ${kind}` },
    h('span', { text }),
    h('button', { type: 'button', class: 'ghost small', text: 'Dismiss', on: { click: close } }));
  byId('toasts').append(box);
  setTimeout(close, SHOWN_MS);
}
