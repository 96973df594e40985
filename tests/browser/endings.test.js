// Rooms that end: replaced by another one, or by being shown out.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, assertClean, launch, picture, say, shown, twoInARoom } from './kit.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

test('a room that was replaced is for reading only and leads to the new one', async () => {
  const { alicePage, bobPage, alice, roomId } = await twoInARoom(browser, 'Old stage', { names: ['Alice', 'Bob'], everyone: true });
  await say(alicePage, 'We are moving');
  await shown(bobPage, 'We are moving');
  const { replacement_room: newId } = await api(alice, 'POST', `/rooms/${encodeURIComponent(roomId)}/upgrade`, { new_version: '12' });
  const link = bobPage.getByRole('link', { name: 'Go to the new room' });
  await link.waitFor();
  await bobPage.locator('.event', { hasText: 'This room has been replaced' }).waitFor();
  assert.equal(await bobPage.locator('#composer').isHidden(), true);
  await picture(bobPage, 'replaced-light');
  await bobPage.locator('#close-people').click();
  await bobPage.setViewportSize({ width: 360, height: 740 });
  assert.ok(await bobPage.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it fits a phone');

  // Not in it yet: the door, and through it.
  await link.click();
  await bobPage.getByRole('button', { name: 'Join', exact: true }).click();
  await bobPage.locator('#composer').waitFor();
  assert.equal(decodeURIComponent(new URL(bobPage.url()).hash.split('/')[2]), newId);
  await bobPage.locator('.event', { hasText: 'created this room, in place of an older one' }).waitFor();
  // Whoever is in it already goes there at once.
  await alicePage.getByRole('link', { name: 'Go to the new room' }).click();
  await say(bobPage, 'Here we are');
  await shown(alicePage, 'Here we are');
  assertClean(alicePage, bobPage);
});

test('whoever is shown out of a room learns by whom and why, and who is banned is not asked to join', async () => {
  const { alicePage, bobPage, alice, bob, roomId } = await twoInARoom(browser, 'Tomatoes', { names: ['Alice', 'Bob'], everyone: true });
  const act = (what, more = {}) => api(alice, 'POST', `/rooms/${encodeURIComponent(roomId)}/${what}`, { user_id: bob.userId, ...more });
  const title = (text) => bobPage.locator('#door-title', { hasText: text }).waitFor();
  await act('kick', { reason: 'Rehearsal is over' });
  await title('You were removed from Tomatoes');
  await bobPage.locator('#door-text', { hasText: 'Alice has decided so: Rehearsal is over.' }).waitFor();
  await bobPage.getByRole('button', { name: 'Join again' }).click();
  await bobPage.locator('#composer').waitFor();

  await act('ban', { reason: 'Enough' });
  await title('You are banned from Tomatoes');
  await bobPage.locator('#door-text', { hasText: 'Alice has decided so: Enough.' }).waitFor();
  assert.equal(await bobPage.locator('#door-accept').isHidden(), true);
  assert.equal(await bobPage.locator('#room-list .room-link', { hasText: 'Tomatoes' }).count(), 0);
  await picture(bobPage, 'banned-light');
  await bobPage.getByRole('button', { name: 'Close' }).click();
  await bobPage.locator('#start').waitFor();
  assertClean(alicePage, bobPage);
});
