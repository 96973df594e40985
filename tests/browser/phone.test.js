// On a phone there is one pane at a time, and nothing sticks out.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { acceptInvite, assertClean, createRoom, freshName, launch, message, openWindow, picture, register, say, setName, shown } from './kit.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

async function assertFits(page) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} px too wide`);
}

/** Waits until this pane, and no other, is shown. */
const onlyPane = (page, wanted) => page.waitForFunction((id) => ['sidebar', 'room-pane', 'people']
  .every((pane) => (getComputedStyle(document.getElementById(pane)).display !== 'none') === (pane === id)), wanted);

test('a conversation on a phone', async () => {
  const phone = await openWindow(browser, PHONE);
  const desk = await openWindow(browser);
  const pat = await register(phone, freshName('pat'));
  const dee = await register(desk, freshName('dee'));
  await setName(pat, 'Pat');
  await setName(dee, 'Dee');
  await assertFits(phone);
  await onlyPane(phone, 'sidebar');

  await createRoom(phone, { name: 'On the road', topic: 'A topic that is rather too long to be shown whole on the screen of a small phone' });
  await onlyPane(phone, 'room-pane');
  await phone.locator('#open-invite').tap();
  await phone.getByLabel('Who?').fill(dee.userId);
  await phone.locator('#invite-dialog button[type="submit"]').tap();
  await phone.locator('#invite-done', { hasText: 'invited' }).waitFor();
  await assertFits(phone);
  await phone.locator('#invite-dialog [data-close]').tap();
  await acceptInvite(desk, 'On the road');

  for (const [page, text] of [
    [desk, 'Where are you?'], [phone, 'On the train, somewhere between the hills'],
    [desk, 'Will you be in time for the rehearsal?'], [phone, 'Yes! Save me a seat'], [phone, '🚆'],
    [desk, `A word without end: ${'long'.repeat(40)}`],
  ]) {
    await say(page, text);
    await shown(phone, text);
    await shown(desk, text);
  }
  await assertFits(phone);
  await picture(phone, 'phone-room');
  await phone.emulateMedia({ colorScheme: 'dark' });
  await picture(phone, 'phone-room-dark');
  await phone.emulateMedia({ colorScheme: 'light' });

  await phone.locator('#toggle-people').tap();
  await phone.locator('.person', { hasText: 'Dee' }).waitFor();
  await onlyPane(phone, 'people');
  await assertFits(phone);
  await picture(phone, 'phone-people');
  await phone.goBack();
  await onlyPane(phone, 'room-pane');
  await phone.getByRole('link', { name: 'Back to the rooms' }).tap();
  await onlyPane(phone, 'sidebar');

  // Elsewhere in the page, news are counted.
  await say(desk, 'Doors open at seven');
  await phone.locator('.room-link .badge', { hasText: '1' }).waitFor();
  await assertFits(phone);
  await picture(phone, 'phone-rooms');
  await phone.locator('.room-link', { hasText: 'On the road' }).tap();
  await message(phone, 'Doors open at seven').waitFor();
  assertClean(phone, desk);
});

test('the first screen and the dialogs fit a narrow phone', async () => {
  const page = await openWindow(browser, { ...PHONE, viewport: { width: 320, height: 568 } });
  await register(page, freshName('min'));
  await assertFits(page);
  for (const button of ['#open-create', '#open-directory', '#open-account']) {
    await page.locator(button).tap();
    await page.locator('dialog[open]').waitFor();
    await assertFits(page);
    await page.keyboard.press('Escape');
  }
  const small = await page.evaluate(() => [...document.querySelectorAll('#sidebar button, #sidebar a')]
    .filter((control) => control.offsetParent && control.getBoundingClientRect().height < 32).map((control) => control.id));
  assert.deepEqual(small, []);
  await page.locator('#open-account').tap();
  await page.getByRole('button', { name: 'Log out' }).tap();
  await page.locator('#panel-register').waitFor();
  await assertFits(page);
  await picture(page, 'phone-welcome');
  assertClean(page);
});
