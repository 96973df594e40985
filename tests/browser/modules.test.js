// The parts of the page that think rather than show, asked directly.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openWindow, url } from './kit.js';

let browser;
let page;
before(async () => {
  browser = await launch();
  page = await openWindow(browser);
  await page.goto(`${url}/`);
});
after(() => browser.close());

test('only web addresses become links', async () => {
  const split = (text) => page.evaluate(async (given) => (await import('/app/text.js')).linkify(given), text);
  assert.deepEqual(await split('see https://a.example/x?y=1, then'), ['see ', { href: 'https://a.example/x?y=1', text: 'https://a.example/x?y=1' }, ', then']);
  assert.deepEqual(await split('javascript:alert(1) data:text/html,x'), ['javascript:alert(1) data:text/html,x']);
  assert.deepEqual(await split('http://'), ['http://']);
  assert.deepEqual(await split(''), []);
});

test('names lose what would turn the line around', async () => {
  const plain = await page.evaluate(async () => (await import('/app/text.js')).plain('a\u202eb\u0000c\nd'));
  assert.equal(plain, 'a b c d');
});

test('a room knows its name, its gaps and what is unread', async () => {
  const seen = await page.evaluate(async () => {
    const { Room } = await import('/app/room.js');
    const room = new Room('!r:s', '@me:s');
    const member = (id, displayname) => ({ type: 'm.room.member', state_key: id, sender: id, content: { membership: 'join', displayname } });
    const says = (id, sender) => ({ event_id: id, type: 'm.room.message', sender, content: { body: id }, origin_server_ts: 1 });
    const names = [];
    room.applyJoined({ state: { events: [member('@me:s', 'Me')] }, timeline: { events: [], prev_batch: 'p0' } });
    names.push(room.name);
    room.applyJoined({ state: { events: [member('@a:s', 'Ann'), member('@b:s', 'Ben')] } });
    names.push(room.name);
    room.applyJoined({ state: { events: [member('@c:s', 'Ann')] } });
    names.push(room.distinctName('@c:s'), room.distinctName('@b:s'), room.distinctName('@gone:s'));
    room.applyJoined({ state: { events: [{ type: 'm.room.name', state_key: '', content: { name: ' Hall\n' } }] } });
    names.push(room.name);

    room.applyJoined({ timeline: { events: [says('$1', '@a:s'), says('$2', '@me:s'), says('$3', '@a:s'), says('$3', '@a:s'), says('$4', '@b:s')], prev_batch: 'p1' }, unread_notifications: { notification_count: 2, highlight_count: 1 }, unread_thread_notifications: { $0: { notification_count: 3 } } });
    const unread = [room.unread, room.highlights];
    room.applyJoined({ ephemeral: { events: [{ type: 'm.receipt', content: { $3: { 'm.read': { '@me:s': {}, '@a:s': {} } }, $4: { 'm.read': { '@a:s': {} } } } }] } });
    room.applyJoined({ unread_notifications: { notification_count: 0, highlight_count: 0 } });
    unread.push(room.unread);
    const seenBy = room.seenBy();
    const grown = room.prepend({ chunk: [says('$0', '@a:s'), says('$1', '@a:s')], end: 'p2' });
    const before = [room.timeline.map((event) => event.event_id).join(' '), room.prevBatch];
    room.applyJoined({ timeline: { limited: true, events: [says('$9', '@a:s')], prev_batch: 'p9' } });
    const after = [room.timeline.map((event) => event.event_id).join(' '), room.prevBatch];
    return { names, unread, seenBy, grown, before, after };
  });
  assert.deepEqual(seen.names, ['Empty room', 'Ann and Ben', 'Ann (@c:s)', 'Ben', 'gone', 'Hall']);
  assert.deepEqual(seen.unread, [5, 1, 0]);
  assert.deepEqual(seen.seenBy, ['@a:s']);
  assert.equal(seen.grown, 1);
  assert.deepEqual(seen.before, ['$0 $1 $2 $3 $4', 'p2']);
  assert.deepEqual(seen.after, ['$9', 'p9']);
});

test('events of any shape do not break a room', async () => {
  const broken = await page.evaluate(async () => {
    const { Room } = await import('/app/room.js');
    const { messageNode, noticeOf, summarize } = await import('/app/views/message.js');
    const odd = [null, 7, 'x', 'constructor', '__proto__', [], {}, JSON.parse('{"toString": 1, "__proto__": 2}'), true, ['x', {}]];
    const room = new Room('!r:s', '@me:s');
    const failures = [];
    for (const type of ['m.room.message', 'm.reaction', 'm.room.member', 'm.room.name', 'm.room.topic', 'm.room.create', 'm.room.power_levels', 'm.room.canonical_alias', 'm.room.redaction', 'm.room.encrypted', 'm.sticker', 'constructor']) {
      for (const value of odd) {
        const content = Object.fromEntries(['body', 'msgtype', 'name', 'topic', 'alias', 'displayname', 'membership', 'users', 'redacts', 'room_version', 'additional_creators', 'reason', 'm.relates_to', 'm.new_content', 'm.mentions'].map((key) => [key, value]));
        const event = { event_id: `$${failures.length}${type}${String(JSON.stringify(value))}`, type, sender: '@a:s', content, state_key: type === 'm.room.message' ? undefined : '', origin_server_ts: 1e300 };
        event.unsigned = { 'm.relations': { 'm.replace': value, 'm.thread': value } };
        const kinds = ['m.annotation', 'm.replace', 'm.thread'].map((kind) => ({ ...event, event_id: `${event.event_id}${kind}`, content: { 'm.relates_to': { rel_type: kind, event_id: value, key: value, 'm.in_reply_to': value } } }));
        try {
          room.applyJoined({ timeline: { events: [event, { ...event, state_key: '@a:s' }, ...kinds] }, unread_notifications: value, unread_thread_notifications: value, ephemeral: { events: [{ type: 'm.typing', content: { user_ids: value } }, { type: 'm.receipt', content: { $x: value } }] } });
          void [room.name, room.topic, room.alias, room.activity, room.unread, room.highlights, room.newestIn(null), room.mayRedact, room.relations.editOf(event), room.relations.reactionsTo(event.event_id), room.role('@a:s'), room.seenBy(), room.joinedCount, room.isPublic];
          summarize(event);
          noticeOf(event, room);
          messageNode({ event, own: false, name: 'A', first: true, last: true, state: 'sent' });
        } catch (error) {
          failures.push(`${type} ${JSON.stringify(value)}: ${error.stack}`);
        }
      }
    }
    return failures;
  });
  assert.deepEqual(broken, []);
});
