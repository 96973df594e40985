// What a machine can tell of the accessibility guidelines (WCAG 2.2 AA), on every screen, light and dark.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { acceptInvite, createRoom, freshName, invite, launch, openWindow, register, say, sendText, shown, url } from './kit.js';

let browser;
let axe;
before(async () => {
  axe = await readFile(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
  browser = await launch();
});
after(() => browser.close());

async function check(page, screen) {
  // By the debugger, which no content security policy keeps out.
  await page.evaluate(`${axe};0`);
  for (const colorScheme of ['light', 'dark']) {
    // Without motion no color is caught half way.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const found = await page.evaluate(async () => {
      const { violations } = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] });
      return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
    });
    assert.deepEqual(found, [], `${screen}, ${colorScheme}`);
  }
}

test('every screen keeps to the accessibility guidelines', async () => {
  const [page, other] = [await openWindow(browser), await openWindow(browser)];
  await page.goto(`${url}/`);
  await check(page, 'registration');
  await page.getByRole('tab', { name: 'Log in' }).click();
  await page.locator('#panel-login button[type="submit"]').click();
  await page.getByText('Please enter your user name').waitFor();
  await check(page, 'login with a mistake');
  const me = await register(page, freshName('axel'));
  await check(page, 'start');
  for (const button of ['#open-create', '#open-directory', '#open-account']) {
    await page.locator(button).click();
    await check(page, button);
    await page.keyboard.press('Escape');
  }
  const roomId = await createRoom(page, { name: 'Ramp', topic: 'Wide enough for all' });
  await check(page, 'alone');
  const friend = await register(other, freshName('billie'));
  await invite(page, friend.userId);
  await other.locator('#invites .room-link').click();
  await check(other, 'invitation');
  await acceptInvite(other, 'Ramp');
  await say(page, 'Hello');
  await say(other, 'See https://example.org');
  await sendText(friend, roomId, 'notice', '🙂');
  await shown(page, '🙂');
  await other.route('**/send/m.room.message/**', (route) => route.fulfill({ status: 403, json: { errcode: 'M_FORBIDDEN', error: 'not now' } }));
  await say(other, 'Refused');
  await other.getByRole('button', { name: 'Try again' }).waitFor();
  await check(page, 'room');
  await check(other, 'room with a failed message');
  await page.setViewportSize({ width: 390, height: 844 });
  await check(page, 'people on a phone');
  await page.locator('#close-people').click();
  await check(page, 'room on a phone');
  await page.locator('.back').click();
  await check(page, 'rooms on a phone');
  assert.ok(me.userId);
});
