// The kiosk against the real door: large targets, three languages, nothing kept, nobody left signed in.
import { expect, test, type BrowserContext, type Page } from '@playwright/test';
import { midnight, start, type Running } from './fixtures/daemons.ts';
import { look, watch } from './fixtures/look.ts';
import { enrol, signIn } from './steps/keypad.ts';

let running: Running;
let context: BrowserContext;
let page: Page;
const trouble: string[] = [];
const sam = () => {
  const found = running.house.people.inmates[0];
  if (!found) throw new Error('no inmate');
  return found;
};

test.describe.configure({ mode: 'serial' });
test.beforeAll(async ({ browser }) => {
  test.setTimeout(180_000 + midnight);
  running = await start();
  context = await browser.newContext({ viewport: { width: 1024, height: 600 }, hasTouch: true, reducedMotion: 'reduce', permissions: ['camera', 'microphone'] });
  watch(context, 'kiosk', trouble);
  page = await context.newPage();
});
test.afterAll(async () => {
  await context?.close();
  await running?.stop();
});

/** Buttons and links that are smaller than a finger wants. */
const small = () =>
  page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('button, a[href], input')]
      .filter((e) => e.checkVisibility() && !e.matches('.skip'))
      .map((e) => ({ what: e.textContent?.trim() || e.id, r: e.getBoundingClientRect() }))
      .filter(({ r }) => r.width > 0 && (r.height < 63.5 || r.width < 59.5))
      .map(({ what, r }) => `${what}: ${Math.round(r.width)} by ${Math.round(r.height)}`),
  );

test('a device becomes a station and an inmate signs in with the keys on the screen', async () => {
  await page.goto(running.house.addresses.kiosk);
  await expect(page.getByRole('heading', { name: 'Set up this screen' })).toBeVisible();
  await look(page, 'kiosk-enrol');
  await enrol(page, running.house, sam().station);
  await look(page, 'kiosk-sign-in');
  expect(await small()).toEqual([]);

  await signIn(page, { number: sam().number, pin: sam().pin === '111111' ? '222222' : '111111' });
  await expect(page.getByTestId('sign-in-problem')).toContainText('That number or PIN is not right.');
  await expect(page.getByRole('textbox', { name: 'Your number' })).toHaveValue('');
  await signIn(page, sam());
  await expect(page.getByRole('heading', { name: `Hello, ${sam().first}` })).toBeVisible();
});

test('every screen is clean and large in three languages and text sizes', async () => {
  const screens = ['tile-requests', 'tile-calendar', 'tile-news', 'tile-join'];
  for (const [language, size] of [['Cymraeg', 'mwyaf'], ['Español', 'grande'], ['English', 'Normal text']] as const) {
    await page.getByRole('button', { name: language }).click();
    await page.getByRole('group').getByRole('button', { name: size }).first().click();
    await expect(page.getByTestId('tile-join')).toBeVisible();
    await look(page, `kiosk-home-${language}`);
    expect(await small()).toEqual([]);
    for (const tile of screens) {
      await page.getByTestId(tile).click();
      await expect(page.getByTestId(tile)).toBeHidden();
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
      await look(page, `kiosk-${tile}-${language}`);
      expect(await small(), `${tile} in ${language}`).toEqual([]);
      await page.locator('header a[href="/"]').click();
      await expect(page.getByTestId(tile)).toBeVisible();
    }
  }
});

test('the back key stays, and signing out leaves nothing', async () => {
  await page.getByTestId('tile-news').click();
  await page.goBack();
  await expect(page.getByRole('heading', { name: 'News' })).toBeVisible();
  await page.getByTestId('sign-out').click();
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  expect(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie, document.body.textContent?.includes('Hello')])).toEqual([0, 0, '', false]);
  const answer = await page.request.get(`${running.house.addresses.kiosk}/api/kiosk/home`);
  expect(answer.status()).toBe(401);
});

test('whoever walks away is asked, then signed out', async () => {
  await page.clock.install();
  await page.reload();
  await signIn(page, sam());
  await expect(page.getByTestId('tile-join')).toBeVisible();
  await page.clock.runFor(42_000);
  await expect(page.getByTestId('idle-dialog')).toBeVisible();
  await page.getByRole('button', { name: 'I am still here' }).click();
  await expect(page.getByTestId('idle-dialog')).toBeHidden();
  await page.clock.runFor(62_000);
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  expect(trouble).toEqual([]);
});
