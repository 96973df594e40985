// Getting in and being put out: tokens, taken names, ended sessions.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, assertClean, createRoom, enter, freshName, launch, live, openWindow, register, say, sessionOf, url } from './kit.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

test('a taken name is said beside the field, and another one works', async () => {
  const [first, second] = [await openWindow(browser), await openWindow(browser)];
  const name = freshName('same');
  await register(first, name);
  second.allow(/status of 400/);
  await second.goto(`${url}/`);
  await enter(second, 'register', name, 'correct horse battery');
  await second.getByText('This user name is taken').waitFor();
  assert.equal(await second.getAttribute('#register-name', 'aria-invalid'), 'true');
  await enter(second, 'register', `${name}-too`, 'correct horse battery');
  await live(second);
  assertClean(first, second);
});

test('a registration token is asked for where the server wants one', async () => {
  const page = await openWindow(browser);
  page.allow(/status of 401/);
  const asked = [];
  await page.route('**/_matrix/client/v3/register', async (route) => {
    const { auth } = route.request().postDataJSON();
    asked.push(auth);
    const refused = { session: 'one', flows: [{ stages: ['m.login.registration_token', 'm.login.dummy'] }], params: {} };
    if (auth.session !== 'one') return route.fulfill({ status: 401, json: refused });
    if (auth.type === 'm.login.registration_token' && auth.token !== 'let-me-in') {
      return route.fulfill({ status: 401, json: { ...refused, errcode: 'M_UNAUTHORIZED', error: 'no such token' } });
    }
    if (auth.type === 'm.login.registration_token') {
      return route.fulfill({ status: 401, json: { ...refused, completed: [auth.type] } });
    }
    const body = { ...route.request().postDataJSON(), auth: { type: 'm.login.dummy' } };
    return route.continue({ postData: JSON.stringify(body) });
  });
  await page.goto(`${url}/`);
  const name = freshName('tom');
  await enter(page, 'register', name, 'correct horse battery');
  await page.getByText('asks for a registration token').waitFor();
  await page.getByLabel('Registration token').fill('wrong');
  await page.locator('#panel-register button[type="submit"]').click();
  await page.getByText('does not accept this registration token').waitFor();
  await page.getByLabel('Registration token').fill('let-me-in');
  await page.locator('#panel-register button[type="submit"]').click();
  await live(page);
  assert.deepEqual(asked.at(-1), { type: 'm.login.dummy', session: 'one' });
  assertClean(page);
});

test('a taken name and a closed registration are said before a password is made up', async () => {
  const [first, second] = [await openWindow(browser), await openWindow(browser)];
  const name = freshName('early');
  await register(first, name);
  second.allow(/status of 40[03]/);
  await second.goto(`${url}/`);
  await second.locator('#register-name').fill(name);
  await second.locator('#register-password').focus();
  await second.getByText('This user name is taken').waitFor();
  assert.equal(await second.evaluate(() => document.activeElement.id), 'register-password');
  await second.route('**/register/available?*', (route) => route.fulfill({ status: 403, json: { errcode: 'M_FORBIDDEN', error: 'registration is closed' } }));
  await second.locator('#register-name').fill(`${name}-too`);
  await second.locator('#register-password').focus();
  await second.getByText('Registration is closed. Whoever runs this server can make one for you.').waitFor();
  assertClean(first, second);
});

const expire = (soft) => (route) => route.fulfill({ status: 401, json: { errcode: 'M_UNKNOWN_TOKEN', error: 'expired', soft_logout: soft } });

/** Says something that cannot go out, and is logged out over it. */
async function loseTheSession(page, text, soft) {
  page.allow(/status of 401|ERR_FAILED/);
  await page.route('**/send/m.room.message/**', (route) => route.abort('failed'));
  await say(page, text);
  await page.locator('.message.own.sending', { hasText: text }).waitFor();
  await page.route('**/sync?*', expire(soft));
  await page.context().setOffline(true);
  await page.context().setOffline(false);
  await page.getByText('You have been logged out').waitFor();
  await page.unroute('**/sync?*');
  await page.unroute('**/send/m.room.message/**');
}

test('after a soft logout the password is enough, and unsent words go out from the same device', async () => {
  const page = await openWindow(browser);
  const session = await register(page, freshName('soft'));
  await createRoom(page, { name: 'Cushions' });
  await loseTheSession(page, 'Almost lost', true);
  assert.equal(await sessionOf(page), null);
  assert.equal(await page.inputValue('#login-name'), session.userId);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'login-password');
  await page.keyboard.type('correct horse battery');
  await page.keyboard.press('Enter');
  await live(page);
  assert.equal((await sessionOf(page)).deviceId, session.deviceId);
  await page.locator('.room-link', { hasText: 'Cushions' }).click();
  await page.locator('.message.own.sent', { hasText: 'Almost lost' }).waitFor();
  assertClean(page);
});

test('after a hard logout unsent words wait for their author to decide', async () => {
  const page = await openWindow(browser);
  await register(page, freshName('hard'));
  await createRoom(page, { name: 'Stones' });
  await loseTheSession(page, 'Still here', false);
  await page.getByLabel('Password').last().fill('correct horse battery');
  await page.keyboard.press('Enter');
  await live(page);
  await page.locator('.room-link', { hasText: 'Stones' }).click();
  await page.locator('.message.failed', { hasText: 'Still here' }).waitFor();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.message.own.sent', { hasText: 'Still here' }).waitFor();
  assertClean(page);
});

test('a session that was ended elsewhere ends here too', async () => {
  const page = await openWindow(browser);
  const session = await register(page, freshName('gone'));
  await api(session, 'POST', '/logout', {});
  page.allow(/status of 401/);
  await page.reload();
  await page.getByText('You have been logged out').waitFor();
  assert.equal(await sessionOf(page), null);
  assertClean(page);
});
