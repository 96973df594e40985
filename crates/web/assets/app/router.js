// Where in the page we are, kept in the address so that reload, back and
// bookmarks work: `#/`, `#/room/ROOM`, `#/room/ROOM/people`, `#/room/ROOM/thread/EVENT`.

import { peoplePreferred } from './session.js';

// Colons may stand as they are, and are easier to read so.
const part = (room) => encodeURIComponent(room).replaceAll('%3A', ':');

const wide = matchMedia('(min-width: 72rem)');

const NOWHERE = { room: null, people: false, thread: null };

/** @returns {{room: string|null, people: boolean, thread: string|null}} room: an id or an alias */
export function current() {
  const [kind, encoded, more, event] = location.hash.replace(/^#\/?/, '').split('/');
  if (kind !== 'room' || !encoded) return NOWHERE;
  try {
    const thread = more === 'thread' && event ? decodeURIComponent(event) : null;
    return { room: decodeURIComponent(encoded), people: more === 'people', thread };
  } catch {
    return NOWHERE;
  }
}

export function roomHash(room, people = wide.matches && peoplePreferred()) {
  return `#/room/${part(room)}${people ? '/people' : ''}`;
}

export const threadHash = (room, rootId) => `#/room/${part(room)}/thread/${encodeURIComponent(rootId)}`;

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
