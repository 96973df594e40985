// Getting in and being put out: tokens, taken names, ended sessions.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, assertClean, enter, freshName, launch, live, openWindow, register, sessionOf, url } from './kit.js';

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
