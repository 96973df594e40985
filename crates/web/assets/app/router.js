// Where in the page we are, kept in the address so that reload, back and
// bookmarks work: `#/`, `#/room/ROOM`, `#/room/ROOM/people`.

import { peoplePreferred } from './session.js';

// Colons may stand as they are, and are easier to read so.
const part = (room) => encodeURIComponent(room).replaceAll('%3A', ':');

const wide = matchMedia('(min-width: 72rem)');

/** @returns {{room: string|null, people: boolean}} room: an id or an alias */
export function current() {
  const [kind, encoded, more] = location.hash.replace(/^#\/?/, '').split('/');
  if (kind !== 'room' || !encoded) return { room: null, people: false };
  try {
    return { room: decodeURIComponent(encoded), people: more === 'people' };
  } catch {
    return { room: null, people: false };
  }
}

export function roomHash(room, people = wide.matches && peoplePreferred()) {
  return `#/room/${part(room)}${people ? '/people' : ''}`;
}

export function go(hash, { replace = false } = {}) {
  if (location.hash === hash) return;
  if (replace) {
    history.replaceState(null, '', hash);
    dispatchEvent(new HashChangeEvent('hashchange'));
  } else location.hash = hash;
}

/** A link others on this server can open to come to a room. */
export const shareLink = (room) => `${location.origin}${location.pathname}#/room/${part(room)}`;

export const isWide = () => wide.matches;
