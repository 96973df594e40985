// Everything can be reached and done without a pointer.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertClean, freshName, launch, live, openWindow, shown, url } from './kit.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className);

/** Presses Tab until the wanted element has the focus. */
async function tabTo(page, wanted, key = 'Tab') {
  const passed = [];
  for (let presses = 0; presses < 40; presses += 1) {
    if (await page.evaluate((selector) => document.activeElement.matches(selector), wanted)) return;
    await page.keyboard.press(key);
    passed.push(await focused(page));
  }
  assert.fail(`Tab never came to ${wanted}, only to ${passed.join(', ')}`);
}

test('an account, a room, a message and leaving, with the keyboard alone', async () => {
  const page = await openWindow(browser);
  await page.goto(`${url}/`);
  await page.getByRole('heading', { level: 1 }).waitFor();

  // The first stop is the way past everything else, and it works.
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'skip-link');
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'welcome-panel');

  await tabTo(page, '#tab-register');
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.getAttribute('#tab-login', 'aria-selected'), 'true');
  await page.keyboard.press('ArrowLeft');
  await tabTo(page, '#register-name');

  // A mistake is said aloud, and the focus is where it can be put right.
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'register-name');
  assert.equal(await page.getAttribute('#register-name', 'aria-invalid'), 'true');
  assert.match(await page.textContent('#register-error[role="alert"]'), /choose a user name/);
  await page.keyboard.type(freshName('kay'));
  await tabTo(page, '#register-password');
  await page.keyboard.type('correct horse battery');
  await page.keyboard.press('Enter');
  await live(page);

  await tabTo(page, '#start-create');
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'create-name');
  await page.keyboard.press('Escape');
  assert.equal(await focused(page), 'start-create');
  await page.keyboard.press('Enter');
  await page.keyboard.type('Keyboard club');
  await tabTo(page, '#create-alias');
  await page.keyboard.type(freshName('keys'));
  await tabTo(page, '[name="create-access"]');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');

  // A new room is ready to be written in.
  await page.locator('#room-name', { hasText: 'Keyboard club' }).waitFor();
  await page.waitForFunction(() => document.activeElement.id === 'message');
  await page.keyboard.type('First line');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('second line');
  await page.keyboard.press('Enter');
  await shown(page, 'First line\nsecond line');
  assert.equal(await focused(page), 'message');

  // Back to the messages, the head of the room and the list of rooms.
  await tabTo(page, '#scroller', 'Shift+Tab');
  await tabTo(page, '#toggle-people', 'Shift+Tab');
  await tabTo(page, '#open-invite', 'Shift+Tab');
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'invite-user');
  await page.keyboard.press('Escape');
  assert.equal(await focused(page), 'open-invite');
  await tabTo(page, '.room-link', 'Shift+Tab');
  await page.keyboard.press('Enter');
  await tabTo(page, '#open-leave');
  await page.keyboard.press('Enter');
  await tabTo(page, '#leave-dialog [type="submit"]');
  await page.keyboard.press('Enter');
  await page.getByText('You have no rooms yet').waitFor();
  assertClean(page);
});

test('every control has a name and every page its landmarks', async () => {
  const page = await openWindow(browser);
  await page.goto(`${url}/`);
  await page.getByRole('main').waitFor();
  const nameless = await page.evaluate(() => [...document.querySelectorAll('button, a[href], input, textarea')]
    .filter((control) => !(control.textContent.trim() || control.getAttribute('aria-label') || control.labels?.length))
    .map((control) => control.outerHTML));
  assert.deepEqual(nameless, []);
  const broken = await page.evaluate(() => {
    const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
    const twice = ids.filter((id, index) => ids.indexOf(id) !== index);
    const lost = ['for', 'aria-labelledby', 'aria-describedby', 'aria-controls'].flatMap((name) => [...document.querySelectorAll(`[${name}]`)]
      .flatMap((element) => element.getAttribute(name).split(' ')).filter((id) => !ids.includes(id)));
    return { twice, lost };
  });
  assert.deepEqual(broken, { twice: [], lost: [] });
  assertClean(page);
});
