// The login fallback hands the answer of the server to whoever opened it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertClean, freshName, launch, openWindow, picture, register, url } from './kit.js';

let browser;
let name;
before(async () => {
  browser = await launch();
  const page = await openWindow(browser);
  name = freshName('app-user');
  await register(page, name, 'a long enough secret');
  await page.context().close();
});
after(() => browser.close());

const PAGES = ['/_matrix/static/client/login/', '/_matrix/client/r0/login/fallback', '/_matrix/client/v3/login/fallback'];

/** Opens a page with what a client would have put into it. */
async function openFallback(path, prepare) {
  const page = await openWindow(browser, { viewport: { width: 420, height: 720 } });
  await page.exposeBinding('handedOver', (_source, how, answer) => { page.answer = { how, ...answer }; });
  await page.addInitScript(prepare);
  await page.goto(url + path);
  await page.getByLabel('User name').waitFor();
  return page;
}

async function logIn(page, password) {
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

for (const path of PAGES) {
  test(`${path} calls window.matrixLogin.onLogin`, async () => {
    const page = await openFallback(`${path}?device_id=FALLBACK&initial_device_display_name=A%20%3Cb%3Elamp`, () => {
      window.matrixLogin = { onLogin: (answer) => window.handedOver('matrixLogin', answer) };
      window.onLogin = (answer) => window.handedOver('onLogin', answer);
    });
    assert.equal(await page.locator('#password').getAttribute('autocomplete'), 'current-password');
    const request = page.waitForRequest((one) => one.method() === 'POST');
    await logIn(page, 'a long enough secret');
    const sent = (await request).postDataJSON();
    assert.equal(sent.type, 'm.login.password');
    assert.deepEqual(sent.identifier, { type: 'm.id.user', user: name });
    assert.equal(sent.device_id, 'FALLBACK');
    assert.equal(sent.initial_device_display_name, 'A <b>lamp');
    await page.getByText('You can go back to your app').waitFor();
    assert.equal(page.answer.how, 'matrixLogin');
    assert.equal(page.answer.device_id, 'FALLBACK');
    assert.match(page.answer.user_id, new RegExp(`^@${name}:`));
    assert.ok(page.answer.access_token.length > 8);
    assert.equal((await page.content()).includes(page.answer.access_token), false);
    assertClean(page);
  });
}

test('an app of the old kind is called by window.onLogin', async () => {
  const page = await openFallback(PAGES[0], () => { window.onLogin = (answer) => window.handedOver('onLogin', answer); });
  await logIn(page, 'a long enough secret');
  await page.getByText('You can go back to your app').waitFor();
  assert.equal(page.answer.how, 'onLogin');
  assertClean(page);
});

test('a wrong password is explained, and nobody waiting is said so', async () => {
  const page = await openFallback(PAGES[0], () => {});
  page.allow(/status of 403/);
  await picture(page, 'login-fallback');
  await logIn(page, 'something else');
  await page.getByText('do not go together').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'password');
  await logIn(page, 'a long enough secret');
  await page.getByText('No app was waiting').waitFor();
  assert.equal(page.answer, undefined);
  assertClean(page);
});
