// The left column: connection, invitations, rooms, and who I am.

import { avatar, byId, h, nameNode, reconcile, setText } from '../dom.js';
import { contentOf } from '../relations.js';
import { current, roomHash } from '../router.js';
import { localpart, plain, plural, shortTime } from '../text.js';
import { unreadBadge } from './extras.js';
import { summarize } from './message.js';

// In a preview the words count for more than who said them.
const LONGEST_NAME = 16;

export function startSidebar({ store, sync, session }) {
  const render = () => renderLists(store);
  store.on('rooms', render);
  store.on('presence', () => renderMe(store, session));
  store.on('rooms', () => renderMe(store, session));
  addEventListener('hashchange', render);
  byId('room-list').addEventListener('keydown', moveByArrow);
  byId('invites').addEventListener('keydown', moveByArrow);
  startConnection(sync);
  renderMe(store, session);
  render();
}

function renderLists(store) {
  const open = store.reading;
  const route = current().room;
  const invited = store.invited();
  const joined = store.joined();
  byId('invites-section').hidden = invited.length === 0;
  reconcile(byId('invites'), invited.map((room) => entry(room, store, room.id === route)));
  reconcile(byId('room-list'), joined.map((room) => entry(room, store, route !== null && (room.id === route || room.alias === route))));
  byId('rooms-loading').hidden = store.synced;
  byId('rooms-empty').hidden = !store.synced || joined.length > 0 || invited.length > 0;
  const unread = joined.filter((room) => room !== open).reduce((sum, room) => sum + room.unread, 0) + invited.length;
  const place = store.find(route ?? '')?.name;
  document.title = `${unread > 0 ? `(${unread}) ` : ''}${place ? `${place} – ` : ''}Greenroom`;
}

function entry(room, store, selected) {
  const invite = room.membership === 'invite';
  const unread = selected && store.reading === room ? room.unreadInThreads : room.unread;
  const preview = invite ? `${room.inviter ? plain(room.memberName(room.inviter), LONGEST_NAME) : 'Somebody'} invites you` : lastWords(room);
  const time = room.activity > 0 ? shortTime(room.activity) : '';
  const name = room.name;
  const mentions = unread > 0 && room.highlights > 0;
  const sig = JSON.stringify([name, preview, time, unread, mentions, selected, room.encrypted]);
  return { key: room.id, sig, build: () => h('li', {},
    h('a', { class: `room-link${unread > 0 || invite ? ' unread' : ''}`, href: roomHash(room.id, invite ? false : undefined), 'aria-current': selected ? 'page' : null },
      avatar(name, room.id),
      h('span', { class: 'room-link-text' },
        h('span', { class: 'room-link-top' }, nameNode(name, 'room-link-name'), h('span', { class: 'room-link-time', text: time })),
        h('span', { class: 'room-link-bottom' },
          h('bdi', { class: 'room-link-preview', text: preview }),
          unreadBadge(unread, mentions),
          invite && h('span', { class: 'badge', text: 'New' }))))) };
}

function lastWords(room) {
  const event = room.lastMessage;
  if (!event) return room.topic || (room.joinedCount > 1 ? plural(room.joinedCount, 'person', 'people') : 'No messages yet');
  const who = event.sender === room.ownId ? 'You' : plain(room.memberName(event.sender), LONGEST_NAME);
  const content = contentOf(event, room.relations.editOf(event));
  return plain(`${who}: ${summarize({ ...event, content })}`, 90);
}

// Up and down move between rooms; Tab passes through them as usual.
function moveByArrow(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const links = [...document.querySelectorAll('.room-link')];
  const next = links[links.indexOf(document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function renderMe(store, { userId }) {
  const own = [...store.rooms.values()].find((room) => room.stateEvent('m.room.member', userId));
  const name = own?.memberName(userId) ?? localpart(userId);
  setText(byId('me-name'), name);
  setText(byId('me-id'), userId);
  reconcile(byId('me-avatar'), [{ key: userId, sig: name, build: () => avatar(name, userId) }]);
}

function startConnection(sync) {
  const box = byId('connection');
  const retry = byId('connection-retry');
  let countdown = null;
  retry.addEventListener('click', () => sync.retryNow());
  sync.addEventListener('status', ({ detail: { state, retryAt } }) => {
    clearInterval(countdown);
    box.dataset.state = state === 'connecting' && sync.failures > 0 ? 'waiting' : state;
    retry.hidden = state !== 'waiting';
    if (state === 'online') setText(byId('connection-text'), 'Live');
    else if (state === 'connecting') setText(byId('connection-text'), sync.failures > 0 ? 'Trying again…' : 'Connecting…');
    else {
      // Spoken once; the seconds that count down are for the eye only.
      setText(byId('connection-text'), 'Connection lost');
      const tick = () => box.style.setProperty('--left', `"${Math.max(0, Math.ceil((retryAt - Date.now()) / 1000))} s"`);
      tick();
      countdown = setInterval(tick, 1000);
    }
  });
}
