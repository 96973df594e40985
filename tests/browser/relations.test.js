// Answers, reactions, edits, deletions, threads, and what is unread.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, assertClean, createRoom, launch, live, message, picture, say, sendText, shown, twoInARoom } from './kit.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const row = (page, text) => page.locator('.message', { has: page.locator('.body', { hasText: text }) });

async function act(page, text, name) {
  await row(page, text).hover();
  await row(page, text).locator('.message-more').click();
  await page.locator('#message-menu').getByRole('button', { name, exact: true }).click();
}

const send = (session, roomId, type, txnId, content) => api(session, 'PUT', `/rooms/${encodeURIComponent(roomId)}/send/${type}/${txnId}`, content);

test('a message is answered, reacted to, edited and deleted, and the other side sees it at once', async () => {
  const { alicePage, bobPage, bob } = await twoInARoom(browser, 'Relations', { names: ['Alice', 'Bob'] });
  await say(alicePage, 'Shall we meet at noon?');
  await shown(bobPage, 'Shall we meet at noon?');

  await act(bobPage, 'at noon', 'Reply');
  await bobPage.locator('#composer-target', { hasText: 'Replying to Alice: Shall we' }).waitFor();
  await say(bobPage, 'Noon is fine');
  await row(alicePage, 'Noon is fine').locator('.quote', { hasText: 'Shall we meet at noon?' }).waitFor();
  assert.equal(await row(alicePage, 'Noon is fine').evaluate((node) => node.classList.contains('mentioned')), true);

  await act(bobPage, 'at noon', 'React with 🎉');
  const reaction = row(alicePage, 'at noon').locator('.reaction', { hasText: '🎉' });
  await reaction.waitFor();
  await reaction.click();
  await row(bobPage, 'at noon').locator('.reaction', { hasText: '2' }).waitFor();
  assert.equal(await reaction.getAttribute('aria-pressed'), 'true');
  await row(bobPage, 'at noon').locator('.reaction').click();
  await row(alicePage, 'at noon').locator('.reaction', { hasText: '1' }).waitFor();

  // Nobody edits what another has said: the menu does not offer it, and the page does not believe it.
  await row(bobPage, 'at noon').hover();
  await row(bobPage, 'at noon').locator('.message-more').click();
  assert.equal(await bobPage.locator('#message-menu').getByRole('button', { name: 'Edit' }).count(), 0);
  await bobPage.keyboard.press('Escape');

  await act(alicePage, 'at noon', 'Edit');
  await alicePage.locator('#message').fill('Shall we meet at one?');
  await alicePage.locator('#send').click();
  await shown(bobPage, 'Shall we meet at one?');
  await row(bobPage, 'at one').locator('.edited').waitFor();
  await row(bobPage, 'Noon is fine').locator('.quote', { hasText: 'at one' }).waitFor();
  await alicePage.reload();
  await live(alicePage);
  await shown(alicePage, 'Shall we meet at one?');
  assert.equal(await alicePage.locator('.message .body', { hasText: 'at noon' }).count(), 0);
  await picture(alicePage, 'relations-light');

  await act(bobPage, 'Noon is fine', 'Delete');
  await message(alicePage, 'Message deleted').waitFor();
  assert.equal(await row(alicePage, 'Noon is fine').count(), 0);

  // An edit by somebody else changes nothing.
  const eventId = await row(bobPage, 'at one').getAttribute('data-event-id');
  const roomId = decodeURIComponent(new URL(bobPage.url()).hash.split('/')[2]);
  await send(bob, roomId, 'm.room.message', 'foreign', {
    msgtype: 'm.text', body: '* Never', 'm.new_content': { msgtype: 'm.text', body: 'Never' },
    'm.relates_to': { rel_type: 'm.replace', event_id: eventId },
  });
  await sendText(bob, roomId, 'after', 'After the forgery');
  await shown(alicePage, 'After the forgery');
  await shown(alicePage, 'Shall we meet at one?');
  assertClean(alicePage, bobPage);
});

test('a thread has its count, its view and its history', async () => {
  const { alicePage, bobPage, alice, bob, roomId } = await twoInARoom(browser, 'Threads', { names: ['Alice', 'Bob'] });
  await say(alicePage, 'Who brings what?');
  await shown(bobPage, 'Who brings what?');
  await act(bobPage, 'Who brings', 'Reply in thread');
  await bobPage.locator('#thread-bar').waitFor();
  await shown(bobPage, 'Who brings what?');
  await say(bobPage, 'I bring bread');
  await shown(bobPage, 'I bring bread');
  const link = row(alicePage, 'Who brings').locator('.thread-link');
  await link.filter({ hasText: '1 reply' }).filter({ hasText: 'Bob: I bring bread' }).waitFor();
  await link.filter({ has: alicePage.locator('.badge', { hasText: '1' }) }).waitFor();
  assert.equal(await message(alicePage, 'I bring bread').count(), 0, 'not in the room itself');

  await link.click();
  await shown(alicePage, 'I bring bread');
  await say(alicePage, 'And I bring salt');
  await shown(bobPage, 'And I bring salt');
  await alicePage.locator('#seen', { hasText: 'Seen by Bob' }).waitFor();
  await alicePage.locator('#close-thread').click();
  await link.filter({ hasText: '2 replies' }).waitFor();
  assert.equal(await link.locator('.badge').count(), 0, 'read by then');

  // Being spoken to in a thread stands out.
  const rootId = await row(alicePage, 'Who brings').getAttribute('data-event-id');
  await send(bob, roomId, 'm.room.message', 'spoken', {
    msgtype: 'm.text', body: 'Alice, butter?', 'm.mentions': { user_ids: [alice.userId] }, 'm.relates_to': { rel_type: 'm.thread', event_id: rootId },
  });
  await link.locator('.badge.mention', { hasText: '@ 1' }).waitFor();

  // More than a page: everything is there after a reload, in order, each once.
  for (let n = 1; n <= 60; n += 1) {
    await send(alice, roomId, 'm.room.message', `t${n}`, { msgtype: 'm.text', body: `part ${n}`, 'm.relates_to': { rel_type: 'm.thread', event_id: rootId } });
  }
  await bobPage.reload();
  await live(bobPage);
  await shown(bobPage, 'part 60');
  await bobPage.waitForFunction(() => {
    document.getElementById('scroller').scrollTop = 0;
    return document.getElementById('history-status').textContent.includes('thread begins');
  });
  const bodies = await bobPage.locator('.message .body').allTextContents();
  assert.deepEqual(bodies, ['Who brings what?', 'I bring bread', 'And I bring salt', 'Alice, butter?', ...Array.from({ length: 60 }, (_, index) => `part ${index + 1}`)]);
  await picture(bobPage, 'thread-light');
  assertClean(alicePage, bobPage);
});

test('what is unread is counted by the server, and being mentioned stands out', async () => {
  const { alicePage, bobPage, alice, bob, roomId } = await twoInARoom(browser, 'Counted', { names: ['Alice', 'Bob'] });
  await createRoom(bobPage, { name: 'Elsewhere' });
  const badge = bobPage.locator('.room-link', { hasText: 'Counted' }).locator('.badge');
  await sendText(alice, roomId, 'one', 'One');
  await badge.filter({ hasText: '1' }).waitFor();
  await send(alice, roomId, 'm.room.message', 'two', { msgtype: 'm.text', body: 'Bob!', 'm.mentions': { user_ids: [bob.userId] } });
  await badge.filter({ hasText: '@ 2' }).waitFor();
  await bobPage.reload();
  await live(bobPage);
  await badge.filter({ hasText: '@ 2' }).waitFor();
  await bobPage.locator('.room-link', { hasText: 'Counted' }).click();
  await badge.waitFor({ state: 'detached' });
  await row(bobPage, 'Bob!').waitFor();
  assert.equal(await row(bobPage, 'Bob!').evaluate((node) => node.classList.contains('mentioned')), true);
  await alicePage.locator('#seen', { hasText: 'Seen by Bob' }).waitFor();
  await bobPage.reload();
  await live(bobPage);
  await bobPage.locator('.room-link', { hasText: 'Counted' }).waitFor();
  assert.equal(await badge.count(), 0);
  assertClean(alicePage, bobPage);
});
