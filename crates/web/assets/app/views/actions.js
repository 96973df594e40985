// What one can do with a message: react, reply, open its thread, edit, delete.

import { explain } from '../api.js';
import { byId, h, icon } from '../dom.js';
import { newTxnId } from '../outbox.js';
import { contentOf } from '../relations.js';
import { threadRootOf } from '../room.js';
import { go, threadHash } from '../router.js';
import { isRedacted } from './message.js';
import { toast } from './notify.js';

const QUICK = ['👍', '❤️', '😂', '🎉', '😮', '😢'];
const MARGIN_PX = 8;
const WRITABLE = new Set(['m.text', 'm.emote', 'm.notice']);

export class Actions {
  constructor({ api }, composer) {
    this.api = api;
    this.composer = composer;
    this.menu = byId('message-menu');
    this.menu.addEventListener('click', (event) => event.target.closest('button') && this.menu.hidePopover());
  }

  /** Opens the menu of a message next to the button that asked for it. */
  open(room, event, button) {
    const own = event.sender === room.ownId;
    const { msgtype } = event.content ?? {};
    const item = (symbol, text, act, extra = '') => h('button', { type: 'button', class: `menu-item ${extra}`, on: { click: act } }, icon(symbol), h('span', { text }));
    const mine = new Map(room.relations.reactionsTo(event.event_id).map(({ key, own: id }) => [key, id]));
    this.menu.replaceChildren(
      h('div', { class: 'menu-reactions', role: 'group', 'aria-label': 'React' }, ...QUICK.map((key) => h('button', {
        type: 'button', class: 'menu-reaction', 'aria-label': `React with ${key}`, 'aria-pressed': String(Boolean(mine.get(key))),
        text: key, on: { click: () => this.react(room, event.event_id, key, mine.get(key) ?? null) },
      }))),
      item('reply', 'Reply', () => this.composer.answer(event)),
      ...(threadRootOf(event) === null ? [item('thread', 'Reply in thread', () => go(threadHash(room.id, event.event_id)))] : []),
      ...(own && WRITABLE.has(msgtype) ? [item('edit', 'Edit', () => this.composer.edit(event, contentOf(event, room.relations.editOf(event))))] : []),
      ...(own || room.mayRedact ? [item('close', 'Delete', () => this.remove(room, event.event_id), 'danger')] : []));
    this.menu.showPopover();
    this.place(button.getBoundingClientRect());
    this.menu.querySelector('button').focus();
  }

  place(anchor) {
    const { offsetWidth: width, offsetHeight: height } = this.menu;
    const left = Math.min(Math.max(MARGIN_PX, anchor.right - width), innerWidth - width - MARGIN_PX);
    const below = anchor.bottom + height + MARGIN_PX <= innerHeight;
    const top = below ? anchor.bottom : Math.max(MARGIN_PX, anchor.top - height);
    Object.assign(this.menu.style, { left: `${left}px`, top: `${top}px` });
  }

  /** Adds a reaction, or takes back the one with the id `own`. */
  async react(room, eventId, key, own) {
    const relation = { rel_type: 'm.annotation', event_id: eventId, key };
    await this.attempt(() => (own === null
      ? this.api.send(room.id, 'm.reaction', newTxnId(), { 'm.relates_to': relation })
      : this.api.redact(room.id, own, newTxnId())));
  }

  remove(room, eventId) {
    return this.attempt(() => this.api.redact(room.id, eventId, newTxnId()));
  }

  async attempt(act) {
    try {
      await act();
    } catch (error) {
      // Pressed twice, or in two windows: it stands there already.
      if (error.code !== 'M_DUPLICATE_ANNOTATION') toast(explain(error));
    }
  }
}

/** Whether there is anything that one can do with a message. */
export const hasActions = (event, room) => Boolean(event.event_id) && !isRedacted(event) && !room.closed;
