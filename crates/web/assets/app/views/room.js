// The middle of the page: decides what stands there and keeps it up to date.

import { avatar, byId, reconcile, setText, showText } from '../dom.js';
import { current, go, isWide, roomHash, shareLink, threadHash } from '../router.js';
import { threadRootOf } from '../room.js';
import { preferPeople, secondWindow } from '../session.js';
import { listNames, plural } from '../text.js';
import { Composer } from './composer.js';
import { Door } from './door.js';
import { Actions } from './actions.js';
import { summarize } from './message.js';
import { announce } from './notify.js';
import { People } from './people.js';
import { Timeline } from './timeline.js';

export class RoomPane {
  constructor(services) {
    const { api, store, outbox } = services;
    this.api = api;
    this.store = store;
    this.room = null;
    /** The first message of the thread that is open, or null. */
    this.rootId = null;
    this.arriving = false;
    this.door = new Door(services);
    this.composer = new Composer(services);
    this.people = new People(services);
    this.timeline = new Timeline(services, new Actions(services, this.composer), () => this.markRead());
    store.on('room', ({ id }) => this.roomChanged(id));
    store.on('rooms', () => this.room || this.route(false));
    store.on('presence', () => this.people.render());
    store.on('message', (detail) => this.messageArrived(detail));
    outbox.addEventListener('change', ({ detail }) => detail === this.room?.id && this.echoChanged());
    addEventListener('hashchange', () => this.route(true));
    document.addEventListener('visibilitychange', () => this.markRead());
    byId('toggle-people').addEventListener('click', () => isWide() && preferPeople(!current().people));
    byId('close-people').addEventListener('click', () => isWide() && preferPeople(false));
    this.route(false);
  }

  /** Shows what the address asks for; `moved` when somebody went there. */
  route(moved) {
    const { room: address, people, thread } = current();
    const found = address === null ? null : this.store.find(address);
    const room = found?.membership === 'join' ? found : null;
    // Opened by its alias: from here on the id, which never changes.
    if (room && address !== room.id) {
      go(thread === null ? roomHash(room.id, people || undefined) : threadHash(room.id, thread), { replace: true });
      return;
    }
    const opening = address !== null && !room && this.store.expected.has(address);
    const waiting = address !== null && !found && !this.store.synced;
    this.room = room;
    this.rootId = room ? thread : null;
    this.store.reading = room;
    byId('room').hidden = !room;
    const showPeople = Boolean(room) && people;
    byId('people').hidden = !showPeople;
    byId('app').dataset.pane = showPeople ? 'people' : address === null ? 'rooms' : 'room';
    byId('skip-link').href = '#room-pane';
    if (room) {
      byId('start').hidden = true;
      byId('door').hidden = true;
      this.render();
      this.timeline.show(room, thread);
      if (!room.membersLoaded) this.people.fetch(room);
      this.markRead();
    } else if (address === null || waiting || opening) this.door.showStart(opening);
    else this.door.showRoom(address);
    if (opening) this.arriving = true;
    else if (moved || this.arriving) {
      this.arriving = false;
      this.moveFocus(room, people, address);
    }
  }

  // After a move the focus goes where reading or writing goes on.
  moveFocus(room, people, address) {
    if (document.querySelector('dialog[open]')) return;
    const narrow = !isWide();
    if (room && people && narrow) byId('people-title').focus();
    else if (room && narrow) byId('room-name').focus({ preventScroll: true });
    else if (room) this.composer.focus();
    else if (address !== null) byId('door-title').focus();
    else if (narrow) document.querySelector('.room-link')?.focus();
    else byId('start-title').focus();
  }

  roomChanged(id) {
    if (this.room?.id !== id) {
      const { room: address } = current();
      if (address !== null && !this.room && this.store.find(address)) this.route(false);
      return;
    }
    if (this.store.rooms.get(id) !== this.room) {
      this.route(false);
      return;
    }
    this.render();
    this.timeline.render();
    this.markRead();
  }

  echoChanged() {
    const typing = document.activeElement === byId('message');
    if (typing) this.timeline.pinned = true;
    this.timeline.render();
  }

  render() {
    const { room } = this;
    const name = room.name;
    setText(byId('room-name'), name);
    setText(byId('room-topic'), room.topic || room.alias || plural(room.joinedCount, 'person', 'people'));
    byId('room-lock').hidden = !room.encrypted;
    reconcile(byId('room-avatar'), [{ key: room.id, sig: name, build: () => avatar(name, room.id) }]);
    const { people } = current();
    const toggle = byId('toggle-people');
    toggle.href = roomHash(room.id, !people);
    toggle.setAttribute('aria-label', `${people ? 'Hide' : 'Show'} people, ${plural(room.joinedCount, 'person', 'people')} in this room`);
    byId('close-people').href = roomHash(room.id, false);
    setText(byId('people-count'), String(room.joinedCount));
    this.renderAlone();
    setText(byId('seen'), seenText(room, this.rootId));
    byId('thread-bar').hidden = this.rootId === null;
    byId('close-thread').href = roomHash(room.id);
    this.composer.show(room, this.rootId);
    if (people) this.people.show(room);
  }

  // Somebody who has just made a room learns what to do next.
  renderAlone() {
    const { room } = this;
    byId('alone').hidden = this.rootId !== null || room.closed || room.joinedCount > 1 || room.invitedCount > 0;
    byId('alone-window').href = secondWindow();
    const share = room.alias && room.isPublic ? `Or send somebody this link: ${shareLink(room.alias)}` : '';
    showText(byId('alone-share'), share);
  }

  messageArrived({ room, event }) {
    const open = room === this.room && threadRootOf(event) === this.rootId;
    const who = room.memberName(event.sender);
    if (open) this.timeline.arrived();
    announce(open ? `${who}: ${summarize(event)}` : `${who} in ${room.name}: ${summarize(event)}`);
  }

  /** Tells others how far this account has read, when it can have read it. */
  markRead() {
    const { room, rootId } = this;
    if (!room || document.hidden || !this.timeline.pinned) return;
    const [reads, place] = rootId === null ? [room.receipts, room.ownId] : [room.threadReads, rootId];
    const newest = room.newestIn(rootId);
    if (!newest || newest.sender === room.ownId || reads.get(place) === newest.event_id) return;
    reads.set(place, newest.event_id);
    this.api.read(room.id, newest.event_id, rootId ?? 'main').catch(() => reads.delete(place));
    this.store.emit('rooms');
  }
}

function seenText(room, rootId) {
  const names = room.seenBy(rootId).map((id) => room.memberName(id));
  return names.length > 0 ? `Seen by ${listNames(names, 3)}` : '';
}
