// The server goes away and comes back, with and without its memory of this window.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, assertClean, createRoom, freshName, launch, live, message, openWindow, register, say, sendText, shown } from './kit.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

test('a message that was given up is sent once the server is back', async () => {
  const page = await openWindow(browser);
  const session = await register(page, freshName('patient'));
  const roomId = await createRoom(page, { name: 'Waiting room' });
  page.allow(/ERR_(FAILED|CONNECTION_REFUSED)/);
  await page.clock.install();
  await page.route('**/_matrix/**', (route) => route.abort('connectionrefused'));
  await page.context().setOffline(true);
  await page.context().setOffline(false);
  await say(page, 'Is anybody there?');
  const givenUp = page.getByRole('button', { name: 'Try again' });
  while (!await givenUp.isVisible()) await page.clock.runFor(1_000);
  await page.unroute('**/_matrix/**');
  const sent = page.locator('.message.own.sent', { hasText: 'Is anybody there?' });
  while (!await sent.isVisible()) await page.clock.runFor(1_000);
  const { chunk } = await api(session, 'GET', `/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=20`);
  assert.equal(chunk.filter((event) => event.content.body === 'Is anybody there?').length, 1);
  assertClean(page);
});

test('whoever gets a message through is live again at once', async () => {
  const page = await openWindow(browser);
  await register(page, freshName('eager'));
  await createRoom(page, { name: 'Waiting room' });
  page.allow(/ERR_(FAILED|CONNECTION_REFUSED)/);
  await page.clock.install();
  await page.route('**/sync?*', (route) => route.abort('connectionrefused'));
  await page.context().setOffline(true);
  await page.context().setOffline(false);
  await page.getByText('Connection lost').waitFor();
  // From here on no wait between two attempts ends by itself.
  await page.clock.pauseAt(Date.now() + 60_000);
  await page.getByText('Connection lost').waitFor();
  await page.unroute('**/sync?*');
  await say(page, 'Here I am');
  await live(page);
  assertClean(page);
});

test('a server that has forgotten a window tells it everything anew', async () => {
  const page = await openWindow(browser);
  const session = await register(page, freshName('again'));
  const gone = await createRoom(page, { name: 'Gone meanwhile' });
  const roomId = await createRoom(page, { name: 'Still there' });
  await sendText(session, roomId, 'one', 'Before');
  await shown(page, 'Before');
  page.allow(/status of 400|ERR_(FAILED|INTERNET_DISCONNECTED)/);
  await page.route('**/sync?*since=*', (route) => route.fulfill({ status: 400, json: { errcode: 'M_INVALID_PARAM', error: 'no such token' } }), { times: 1 });
  await page.context().setOffline(true);
  await page.getByText('Connection lost').waitFor();
  await api(session, 'POST', `/rooms/${encodeURIComponent(gone)}/leave`, {});
  await sendText(session, roomId, 'two', 'After');
  await page.context().setOffline(false);
  await shown(page, 'After');
  await shown(page, 'Before');
  await page.locator('.room-link', { hasText: 'Gone meanwhile' }).waitFor({ state: 'detached' });
  await live(page);
  await say(page, 'Now');
  await message(page, 'Now').waitFor();
  assertClean(page);
});
