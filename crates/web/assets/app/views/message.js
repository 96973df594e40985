// How one event looks. A new kind of message is a new case in `bodyOf`; what
// hangs on a message is in `extras.js`.

import { avatar, h, icon, nameNode } from '../dom.js';
import { contentOf } from '../relations.js';
import { clock, exactTime, isoTime, linkify, plain } from '../text.js';

const FILES = new Map([['m.image', 'Picture'], ['m.file', 'File'], ['m.audio', 'Audio'], ['m.video', 'Video']]);

/** An event in one line of text, for previews and announcements. */
export function summarize(event) {
  if (isRedacted(event)) return 'Message deleted';
  if (event.type === 'm.room.encrypted') return 'Encrypted message';
  const { msgtype, body } = event.content ?? {};
  const text = plain(body, 160);
  if (event.type === 'm.sticker') return `Sticker: ${text}`;
  if (FILES.has(msgtype)) return `${FILES.get(msgtype)}: ${text}`;
  return text || 'Message without text';
}

export const isRedacted = (event) => Boolean(event.unsigned?.redacted_because);

/**
 * Builds a message. `first` starts a group of messages by one sender; `state`
 * is `sent`, `sending` or `failed`; `actions` are buttons for a failed one;
 * `edit` is its newest wording, `quote`, `reactions` and `thread` are nodes,
 * `mentioned` whether it speaks to the reader, `openMenu` what its menu's button does.
 */
export function messageNode({ event, own, name, first, last, state, problem, actions, edit, quote, reactions, thread, mentioned, openMenu }) {
  const classes = ['message', own ? 'own' : 'other', first && 'first', last && 'last', mentioned && 'mentioned', state].filter(Boolean).join(' ');
  const body = bodyOf({ ...event, content: contentOf(event, edit) }, name);
  return h('li', { class: classes, 'data-event-id': event.event_id ?? null },
    !own && h('span', { class: 'gutter' }, last && avatar(name, event.sender)),
    h('div', { class: `bubble ${body.kind}` },
      h('p', { class: first && !own ? 'sender' : 'visually-hidden' }, nameNode(own ? 'You' : name), h('span', { class: 'visually-hidden', text: ': ' })),
      quote,
      body.node,
      h('p', { class: 'meta' },
        edit && h('span', { class: 'edited', text: 'edited' }),
        h('time', { datetime: isoTime(event.origin_server_ts), title: exactTime(event.origin_server_ts), text: clock(event.origin_server_ts) }),
        own && stateMark(state)),
      openMenu && h('button', { type: 'button', class: 'message-more', 'aria-label': `Actions for the message of ${own ? 'yours' : name}`, 'aria-haspopup': 'dialog', on: { click: ({ currentTarget }) => openMenu(currentTarget) } }, icon('more'))),
    (reactions || thread) && h('div', { class: 'below' }, thread, reactions),
    state === 'failed' && h('div', { class: 'failed-note', role: 'alert' }, h('span', { text: problem }), ...actions));
}

function stateMark(state) {
  const [name, words] = { sending: ['clock', 'Sending'], failed: ['alert', 'Not sent'], sent: ['check', 'Sent'] }[state];
  return h('span', { class: `state ${state}` }, icon(name), h('span', { class: 'visually-hidden', text: words }));
}

function bodyOf(event, name) {
  if (isRedacted(event)) return aside('Message deleted');
  if (event.type === 'm.room.encrypted') return aside('Encrypted message. This page cannot read it.', 'lock');
  const { msgtype, body } = event.content ?? {};
  if (typeof body !== 'string' || body === '') return aside('A message this page cannot show.', 'alert');
  if (event.type === 'm.sticker') return aside(`Sticker: ${plain(body)}`);
  if (FILES.has(msgtype)) return aside(`${FILES.get(msgtype)}: ${plain(body)} (shown by full Matrix clients)`);
  if (msgtype === 'm.emote') return { kind: 'emote', node: h('p', { class: 'body', dir: 'auto' }, h('bdi', { text: `${name} ` }), ...inline(body)) };
  const kind = isOnlyEmoji(body) ? 'emoji' : msgtype === 'm.notice' ? 'bot' : 'text';
  return { kind, node: h('p', { class: 'body', dir: 'auto' }, ...inline(body)) };
}

function aside(text, symbol) {
  return { kind: 'aside', node: h('p', { class: 'body' }, symbol && icon(symbol), h('span', { text })) };
}

function inline(text) {
  return linkify(text).map((piece) => typeof piece === 'string'
    ? document.createTextNode(piece)
    : h('a', { href: piece.href, target: '_blank', rel: 'noopener noreferrer nofollow', text: piece.text }));
}

function isOnlyEmoji(text) {
  return text.length <= 24 && /^(\p{Extended_Pictographic}|\p{Emoji_Component}|\s)+$/u.test(text) && /\p{Extended_Pictographic}/u.test(text);
}

/** A line about a change of the room, or null where it is not worth one. */
export function noticeOf(event, room) {
  const who = room.memberName(event.sender);
  const content = event.content ?? {};
  switch (event.type) {
    case 'm.room.create': return `${who} created this room${content.predecessor ? ', in place of an older one' : ''}`;
    case 'm.room.name': return content.name ? `${who} named the room “${plain(content.name, 120)}”` : `${who} removed the name of the room`;
    case 'm.room.topic': return content.topic ? `${who} set the topic: ${plain(content.topic, 300)}` : `${who} removed the topic`;
    case 'm.room.encryption': return `${who} turned on end-to-end encryption`;
    case 'm.room.tombstone': return 'This room has been replaced by another one';
    case 'm.room.member': return membershipNotice(event, room, who);
    default: return null;
  }
}

function membershipNotice(event, room, who) {
  const target = event.state_key ?? '';
  const content = event.content ?? {};
  const before = event.unsigned?.prev_content ?? event.prev_content ?? {};
  const name = plain(content.displayname, 60) || room.memberName(target);
  const reason = content.reason ? `: ${plain(content.reason)}` : '';
  switch (content.membership) {
    case 'invite': return `${who} invited ${name}`;
    case 'join':
      // Whoever makes a room is in it: that it was made is said in the line before.
      if (before.membership === undefined && target === room.stateEvent('m.room.create')?.sender) return null;
      if (before.membership !== 'join') return `${name} joined`;
      if (before.displayname !== content.displayname) return `${plain(before.displayname, 60) || target} is now called ${name}`;
      return null;
    case 'leave':
      if (event.sender === target) return before.membership === 'invite' ? `${name} declined the invitation` : `${name} left`;
      return before.membership === 'ban' ? `${who} lifted the ban of ${name}` : `${who} removed ${name}${reason}`;
    case 'ban': return `${who} banned ${name}${reason}`;
    case 'knock': return `${name} asks to be let in`;
    default: return null;
  }
}
