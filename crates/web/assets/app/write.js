// The content of what one writes: plain messages, answers, edits.

const MATRIX_ID = /@[0-9a-z._=/+-]+:[0-9a-z.[\]:-]*[0-9a-z\]]/giu;

/** A message of its own; people are mentioned by their Matrix ID or `@room`. */
export function messageOf(text, room) {
  const emote = text.startsWith('/me ');
  const body = emote ? text.slice(4) : text;
  const known = new Set(room.members(['join', 'invite']).map(({ id }) => id));
  const mentioned = [...new Set(body.match(MATRIX_ID) ?? [])].filter((id) => known.has(id));
  const mentions = { ...(mentioned.length > 0 && { user_ids: mentioned }), ...(/(^|\s)@room\b/u.test(body) && { room: true }) };
  return { msgtype: emote ? 'm.emote' : 'm.text', body, 'm.mentions': mentions };
}

/** A message that answers `event`, or none; in the thread that begins with `rootId`, or none. */
export function answerTo(event, rootId, room, message) {
  if (!event && rootId === null) return message;
  const answered = event ?? room.newestIn(rootId);
  const answers = { 'm.in_reply_to': { event_id: answered?.event_id ?? rootId } };
  const relation = rootId === null ? answers : { rel_type: 'm.thread', event_id: rootId, is_falling_back: !event, ...answers };
  const content = { ...message, 'm.relates_to': relation };
  return event ? withMention(content, event.sender, room.ownId) : content;
}

/** A message that takes the place of `event`. */
export function editOf(event, message) {
  return {
    ...message,
    body: `* ${message.body}`,
    'm.new_content': message,
    'm.relates_to': { rel_type: 'm.replace', event_id: event.event_id },
  };
}

function withMention(content, sender, ownId) {
  if (sender === ownId) return content;
  const before = content['m.mentions'];
  return { ...content, 'm.mentions': { ...before, user_ids: [...new Set([...(before.user_ids ?? []), sender])] } };
}
