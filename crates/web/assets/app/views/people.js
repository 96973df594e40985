// The right column: who is in the room, and who of them is online.

import { explain } from '../api.js';
import { avatar, byId, h, nameNode, reconcile, showText } from '../dom.js';
import { duration } from '../text.js';

const MOST_SHOWN = 300;
const MOST_ASKED = 20;
const ORDER = new Map([['online', 0], ['unavailable', 1]]);
const WORDS = new Map([['online', 'Online'], ['unavailable', 'Away'], ['offline', 'Offline']]);

export class People {
  constructor({ api, store }) {
    this.api = api;
    this.store = store;
    this.room = null;
    this.fetching = new Set();
    this.asked = new Set();
  }

  show(room) {
    this.room = room;
    if (!room.membersLoaded) this.fetch(room);
    else this.askPresence(room);
    this.render();
  }

  // Sync tells of changes. Of somebody met only now it may not have said
  // anything yet: asked once, for a few.
  async askPresence(room) {
    const unknown = room.members(['join'])
      .filter(({ id }) => id !== room.ownId && this.store.presenceOf(id).presence === 'unknown' && !this.asked.has(id))
      .slice(0, MOST_ASKED);
    if (unknown.length === 0) return;
    for (const { id } of unknown) this.asked.add(id);
    await Promise.allSettled(unknown.map(async ({ id }) => {
      const status = await this.api.presence(id);
      if (this.store.presenceOf(id).presence === 'unknown') this.store.setPresence(id, status);
    }));
    this.store.emit('presence');
  }

  // Sync sends only the members who speak; the rest comes from here.
  async fetch(room) {
    if (this.fetching.has(room)) return;
    this.fetching.add(room);
    try {
      const { chunk } = await this.api.members(room.id);
      room.applyMembers(chunk);
      showText(byId('people-status'), '');
      this.store.emit('room', { id: room.id });
      this.store.emit('rooms');
    } catch (error) {
      if (this.room === room) showText(byId('people-status'), explain(error));
    } finally {
      this.fetching.delete(room);
    }
  }

  render() {
    const { room } = this;
    if (!room) return;
    const joined = room.members(['join']).map((member) => this.withPresence(member)).sort(byPresence);
    const invited = room.members(['invite']).map((member) => ({ ...member, presence: 'invited', note: 'Invited' }));
    const here = joined.filter((member) => ORDER.has(member.presence));
    const away = joined.filter((member) => !ORDER.has(member.presence));
    reconcile(byId('people-groups'), [
      ...group('online', 'Online', here, room),
      ...group('offline', 'Offline', away, room),
      ...group('invited', 'Invited', invited, room),
    ]);
  }

  withPresence(member) {
    const { presence, seenAt } = this.store.presenceOf(member.id);
    const seen = presence === 'offline' && seenAt > 0 ? `Last seen ${duration(Date.now() - seenAt)} ago` : WORDS.get(presence) ?? '';
    return { ...member, presence, note: seen };
  }
}

function byPresence(a, b) {
  return (ORDER.get(a.presence) ?? 2) - (ORDER.get(b.presence) ?? 2) || a.name.localeCompare(b.name);
}

function group(key, title, members, room) {
  if (members.length === 0) return [];
  const shown = members.slice(0, MOST_SHOWN);
  const sig = JSON.stringify([members.length, shown.map((member) => [member.id, member.name, member.presence, member.note, room.role(member.id)])]);
  return [{ key, sig, build: () => h('section', { 'aria-labelledby': `people-${key}` },
    h('h3', { class: 'list-title', id: `people-${key}`, text: `${title} · ${members.length}` }),
    h('ul', { class: 'people-list' }, ...shown.map((member) => personNode(member, room))),
    members.length > shown.length && h('p', { class: 'empty', text: `and ${members.length - shown.length} more` })) }];
}

function personNode(member, room) {
  const role = room.role(member.id);
  return h('li', { class: 'person', 'data-user-id': member.id, 'data-presence': member.presence, title: member.id },
    h('span', { class: 'avatar-box' }, avatar(member.name, member.id), h('span', { class: `presence ${member.presence}`, 'aria-hidden': 'true' })),
    h('span', { class: 'person-text' },
      h('span', { class: 'person-name' }, nameNode(member.name), member.id === room.ownId && h('span', { text: '(you)' })),
      h('span', { class: 'person-note' }, h('bdi', { text: member.note || member.id }))),
    role && h('span', { class: 'chip', text: role }));
}
