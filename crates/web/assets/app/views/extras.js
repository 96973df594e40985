// What hangs on a message: the one it answers, reactions, the thread below it.

import { h, icon, nameNode } from '../dom.js';
import { contentOf, repliedId } from '../relations.js';
import { threadHash } from '../router.js';
import { listNames, plain, plural } from '../text.js';
import { summarize } from './message.js';

const LONGEST_KEY = 24;

/** Finds the messages that others answer; fetches those that are not loaded. */
export class Quotes {
  constructor(api, redraw) {
    this.api = api;
    this.redraw = redraw;
    this.fetched = new Map();
  }

  /** What to show of the answered message; null where this one answers none. */
  of(event, room, thread) {
    const id = repliedId(event);
    if (id === null) return null;
    const target = room.find(id) ?? thread?.find(id) ?? this.fetch(room.id, id);
    if (!target) return { id, name: '', text: target === undefined ? 'Loading…' : 'A message that you cannot see' };
    const edit = room.relations.editOf(target);
    return { id, name: room.memberName(target.sender), text: summarize({ ...target, content: contentOf(target, edit) }) };
  }

  fetch(roomId, id) {
    if (this.fetched.has(id)) return this.fetched.get(id);
    this.fetched.set(id, undefined);
    this.api.event(roomId, id)
      .then((event) => this.fetched.set(id, event), () => this.fetched.set(id, null))
      .then(this.redraw);
    return undefined;
  }
}

/** The answered message, in a line that leads to it. */
export function quoteNode(quote, open) {
  return h('button', { type: 'button', class: 'quote', on: { click: () => open(quote.id) } },
    h('span', { class: 'visually-hidden', text: 'In reply to ' }),
    quote.name && nameNode(quote.name, 'quote-name'),
    h('bdi', { class: 'quote-text', text: quote.text }));
}

/** One button for each reaction: it tells who reacted, and adds or takes back one's own. */
export function reactionsNode(reactions, room, toggle) {
  return h('ul', { class: 'reactions', 'aria-label': 'Reactions' }, ...reactions.map((reaction) => {
    const names = reaction.senders.map((id) => (id === room.ownId ? 'You' : room.memberName(id)));
    const key = plain(reaction.key, LONGEST_KEY);
    const words = `${key} by ${listNames(names, 5)}`;
    return h('li', {}, h('button', {
      type: 'button', class: 'reaction', title: words, 'aria-label': words,
      'aria-pressed': String(reaction.own !== null), on: { click: () => toggle(reaction.key, reaction.own) },
    }, h('span', { text: key }), h('span', { class: 'reaction-count', text: String(reaction.senders.length) })));
  }));
}

/** The way into the thread below a message. */
export function threadNode({ count, latest, notifications, highlights }, room, rootId) {
  const newest = latest ? `${plain(room.memberName(latest.sender), 30)}: ${summarize(latest)}` : '';
  return h('a', { class: 'thread-link', href: threadHash(room.id, rootId) },
    icon('thread'),
    h('span', { class: 'thread-count', text: plural(count, 'reply', 'replies') }),
    newest && h('bdi', { class: 'thread-latest', text: newest }),
    unreadBadge(notifications, highlights > 0));
}

/** How much is unread, and whether the reader is spoken to in it; nothing where all is read. */
export function unreadBadge(count, mentioned) {
  return count > 0 && h('span', { class: `badge${mentioned ? ' mention' : ''}` },
    h('span', { text: `${mentioned ? '@ ' : ''}${count}` }),
    h('span', { class: 'visually-hidden', text: mentioned ? ' unread, you are mentioned' : ' unread' }));
}
