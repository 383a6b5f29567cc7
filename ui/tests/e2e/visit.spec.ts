// One whole visit in real browsers: a visitor's phone, the inmate's kiosk and the staff console.
import { expect, test, type Browser, type BrowserContext, type Page } from '@playwright/test';
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { midnight, mail, start, type Running } from './fixtures/daemons.ts';
import { arrived, look, moving, remember, watch } from './fixtures/look.ts';
import * as kiosk from './steps/kiosk.ts';
import * as staff from './steps/staff.ts';
import * as visitor from './steps/visitor.ts';

let running: Running;
const trouble: string[] = [];
const contexts: BrowserContext[] = [];
let phone: Page;
let screen: Page;
let monitor: Page;
const me = { first: 'Dora', last: 'Ellis', phone: '+1 312 555 0178', email: 'dora@families.example', pin: '583914' };

test.describe.configure({ mode: 'serial' });

async function open(browser: Browser, who: string, options: Parameters<Browser['newContext']>[0]): Promise<Page> {
  const c = await browser.newContext({ reducedMotion: 'reduce', permissions: ['camera', 'microphone'], ...options });
  contexts.push(c);
  watch(c, who, trouble);
  await remember(c);
  return c.newPage();
}

const inmate = () => {
  const i = running.house.people.inmates[4];
  if (!i) throw new Error('the house has no fifth inmate');
  return i;
};

test.beforeAll(async ({ browser }) => {
  test.setTimeout(180_000 + midnight);
  running = await start();
  phone = await open(browser, 'visitor', { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
  screen = await open(browser, 'kiosk', { viewport: { width: 1024, height: 600 }, hasTouch: true });
  monitor = await open(browser, 'monitor', { viewport: { width: 1920, height: 1080 } });
});

test.afterAll(async () => {
  for (const c of contexts) await c.close();
  await running?.stop();
});

test.afterEach(() => {
  expect(trouble, 'no page reported an error or a breach of its policy').toEqual([]);
});

test('a visitor opens an account, proves who they are and asks for a person', async () => {
  test.setTimeout(120_000);
  await visitor.register(phone, running.house, me);
  await visitor.sendIdentity(phone);
  await visitor.addPerson(phone, inmate());
});

test('a moderator checks the ID', async ({ browser }) => {
  const page = await open(browser, 'moderator', { viewport: { width: 1920, height: 1080 } });
  await staff.signIn(page, running.house, 'moderator');
  await staff.verify(page, `${me.first} ${me.last}`);
  await mail(running.house, me.email, 'Your identity is confirmed');
  await page.context().close();
});

test('the inmate accepts the person at the kiosk', async () => {
  const station = running.house.people.stations.find((s) => s.name === inmate().station);
  await kiosk.enrol(screen, running.house, station?.code ?? '');
  await kiosk.signIn(screen, inmate());
  await kiosk.accept(screen, `${me.first} ${me.last}`, '04-contact-request');
});

test('the visitor suggests a time, the inmate accepts, Invited becomes Confirmed', async () => {
  await phone.goto(running.house.addresses.visitor);
  await visitor.suggest(phone, inmate(), 5);
  await kiosk.accept(screen, `${me.first} ${me.last}`, '05-visit-request');
  await expect(phone.getByTestId('visit-label')).toHaveText(/Confirmed/); // by the live feed, nobody loads the page
  await look(phone, 'visitor-18-confirmed');
  await mail(running.house, me.email, /confirmed/i);
  await phone.getByRole('link', { name: /News/ }).click();
  await expect(phone.getByText('Your visit is confirmed.', { exact: true })).toBeVisible();
  await look(phone, 'visitor-19-news');
});

/** Both pages show the call within the waiting time of the booked start. */
async function live(...pages: Page[]): Promise<void> {
  for (const page of pages) {
    await expect(page.getByTestId('call-screen')).toHaveAttribute('data-phase', 'live', { timeout: 240_000 });
    await expect.poll(async () => (await arrived(page)).frames, { timeout: 20_000 }).toBeGreaterThan(10);
  }
}

/** Picture and sound arrive: the picture moves, the sound has energy, the packets are sealed with AES-GCM. */
async function seesAndHears(page: Page): Promise<void> {
  expect(await moving(page, 'remote-video')).toBeGreaterThan(50);
  const one = await arrived(page);
  await expect.poll(async () => (await arrived(page)).energy, { timeout: 10_000 }).toBeGreaterThan(one.energy);
  expect(one.cipher).toBe('SRTP_AEAD_AES_128_GCM');
}

test('the next visit of the two may be booked at once', async () => {
  await phone.goto(running.house.addresses.visitor);
  await visitor.confirm(phone, inmate(), 5);
});

test('both check their devices and meet in the call', async ({ browser }) => {
  test.setTimeout(360_000);
  await phone.goto(running.house.addresses.visitor);
  await expect(phone.getByTestId('join')).toBeVisible();
  await look(phone, 'visitor-21-home');
  await phone.getByRole('link', { name: 'Check camera and sound' }).click();
  await expect(phone.getByTestId('preview-video')).toBeVisible();
  await expect(phone.getByTestId('check-line')).toHaveAttribute('data-tone', 'ok', { timeout: 30_000 });
  await look(phone, 'visitor-22-device-check');
  await phone.goto(running.house.addresses.visitor);
  await phone.getByTestId('join').click();
  await phone.getByTestId('notice-agree').click();
  await expect(phone.getByTestId('waiting-room')).toBeVisible();
  await look(phone, 'visitor-23-waiting-room');

  // The visit has a station of its own; whoever is elsewhere walks there.
  const visits = (await (await screen.request.get(`${running.house.addresses.kiosk}/api/kiosk/visits`)).json()) as { visits: { state: string; station?: string }[] };
  const place = visits.visits.find((v) => v.state === 'checking_in' || v.state === 'confirmed')?.station;
  if (place && place !== inmate().station) {
    await screen.getByTestId('sign-out').click();
    await screen.context().close();
    screen = await open(browser, 'kiosk', { viewport: { width: 1024, height: 600 }, hasTouch: true });
    await kiosk.enrol(screen, running.house, running.house.people.stations.find((s) => s.name === place)?.code ?? '');
    await kiosk.signIn(screen, inmate());
  }
  await screen.getByTestId('tile-join').click();
  await expect(screen.getByTestId('preview-video')).toBeVisible();
  await look(screen, 'kiosk-06-device-check');
  await screen.getByTestId('to-room').click();
  await screen.getByTestId('notice-agree').click();
  await expect(screen.getByTestId('waiting-room')).toBeVisible();
  await look(screen, 'kiosk-07-waiting-room');

  await live(phone, screen);
  await seesAndHears(phone);
  await seesAndHears(screen);
  await look(phone, 'visitor-24-call');
  await look(screen, 'kiosk-08-call');
});

test('staff watch, pause, check and resume', async () => {
  test.setTimeout(120_000);
  await staff.signIn(monitor, running.house, 'monitor');
  await monitor.getByRole('link', { name: 'Live' }).click();
  await expect(monitor.getByTestId('tile').filter({ hasText: me.last })).toHaveAttribute('data-state', 'live');
  await look(monitor, 'staff-04-live');
  await monitor.getByTestId('tile').filter({ hasText: me.last }).getByRole('button', { name: /^Open/ }).click();
  for (const side of ['inmate', 'visitor']) await expect.poll(() => moving(monitor, `monitor-${side}`), { timeout: 25_000 }).toBeGreaterThan(50);
  await look(monitor, 'staff-05-call');

  await monitor.getByTestId('pause').click();
  for (const page of [phone, screen]) await expect(page.getByTestId('paused-cover')).toBeVisible();
  await look(phone, 'visitor-25-paused');
  await look(screen, 'kiosk-09-paused');
  for (const page of [phone, screen]) {
    const before = await arrived(page);
    await page.waitForTimeout(1500); // the probe: while paused, nothing may arrive
    const after = await arrived(page);
    expect({ video: after.video, audio: after.audio }).toEqual({ video: before.video, audio: before.audio });
  }
  await monitor.getByTestId('begin-check').click();
  await monitor.getByTestId('resume').click(); // refused: no line is answered
  await expect(monitor.getByText('There is a problem')).toBeVisible();
  await look(monitor, 'staff-06-check');
  for (const line of await monitor.getByLabel('Done', { exact: true }).all()) await line.check();
  await monitor.getByTestId('resume').click();
  await live(phone, screen);
  await seesAndHears(phone);
  await seesAndHears(screen);
});

test('the visit ends by itself at its fixed end', async () => {
  test.setTimeout(420_000);
  for (const page of [phone, screen]) await expect(page.getByTestId('after-call')).toBeVisible({ timeout: 360_000 });
  // Both read the same length, the metered one: shorter than the five minutes by the pause.
  const together = await Promise.all([phone, screen].map((page) => page.getByTestId('after-call').getByTestId('together').innerText()));
  expect(together[0]).toMatch(/: 0[0-4]:\d\d$/);
  expect(together[1]?.split(': ')[1]).toBe(together[0]?.split(': ')[1]);
  await look(phone, 'visitor-26-after-the-call');
  await look(screen, 'kiosk-10-after-the-call');
  await phone.goto(`${running.house.addresses.visitor}/visits`);
  await expect(phone.locator('[data-testid=visit-row][data-label=done]')).toHaveCount(1);
});

test('an investigator plays the recording, with both pictures, and it is whole', async ({ browser }) => {
  test.setTimeout(120_000);
  const page = await open(browser, 'investigator', { viewport: { width: 1920, height: 1080 } });
  await staff.signIn(page, running.house, 'investigator');
  await page.getByRole('link', { name: 'Recordings' }).click();
  await page.getByTestId('recording-row').filter({ hasText: me.last }).first().click();
  await expect(page.getByTestId('recording-state')).toHaveText('Available', { timeout: 30_000 });
  await look(page, 'staff-07-recording');
  await page.getByLabel('Purpose').fill('Case 2026-114, evaluation');
  const asked = page.waitForResponse((r) => r.url().endsWith('/views'));
  await page.getByTestId('open-recording').click();
  const view = (await (await asked).json()) as { seats: { seat: string; url: string }[] };
  expect(view.seats.map((s) => s.seat).sort()).toEqual(['i1', 'v1']);
  await page.getByTestId('play').click();
  for (const s of ['i1', 'v1']) await expect.poll(() => moving(page, `seat-${s}`), { timeout: 20_000 }).toBeGreaterThan(50);
  await look(page, 'staff-08-playback');
  for (const s of view.seats) {
    const part = await page.request.get(new URL(s.url, running.house.addresses.staff).href, { headers: { Range: 'bytes=0-99' } });
    expect(part.status()).toBe(206);
    const whole = await page.request.get(new URL(s.url, running.house.addresses.staff).href);
    const file = join(running.house.state, `${s.seat}.webm`);
    writeFileSync(file, await whole.body());
    const probe = JSON.parse(run('ffprobe', ['-v', 'error', '-count_frames', '-show_streams', '-of', 'json', file])) as { streams: { codec_type: string; codec_name: string; nb_read_frames: string }[] };
    const frames = Object.fromEntries(probe.streams.map((x) => [x.codec_name, Number(x.nb_read_frames)]));
    expect(frames['vp8'], `pictures of ${s.seat}`).toBeGreaterThan(200);
    expect(frames['opus'], `sound of ${s.seat}`).toBeGreaterThan(1000);
  }
  await page.getByTestId('verify').click();
  await expect(page.getByTestId('verify-result')).toBeVisible();
  await look(page, 'staff-09-verified');
  await page.context().close();
});

test('the operator finds everything whole, and a flipped byte by name', () => {
  const { house, bin } = running;
  const ctl = (...args: string[]) => run(bin('sallyportctl'), ['--link', house.link, ...args]);
  expect(ctl('status')).toMatch(/gatewayd\s+ok/);
  expect(ctl('audit', 'verify')).toMatch(/rows, whole/);
  const folders = readdirSync(join(house.state, 'gateway/recordings'), { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('manifest.json'));
  expect(folders.length).toBeGreaterThan(0);
  const folder = dirname(join(house.state, 'gateway/recordings', folders[0] ?? ''));
  expect(ctl('recording', 'verify', folder)).toMatch(/whole/);
  const copy = join(house.state, 'copy');
  cpSync(folder, copy, { recursive: true });
  const segment = join(copy, '0001.reel');
  const bytes = readFileSync(segment);
  bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 1;
  writeFileSync(segment, bytes);
  expect(() => ctl('recording', 'verify', copy)).toThrow(/0001|segment 1/);
});

test('the centre holds account and visit, and nothing of it can be read there', () => {
  const { house, bin } = running;
  const site = /site = "(\w+)"/.exec(readFileSync(join(house.state, 'syncd.toml'), 'utf8'))?.[1] ?? '';
  const records = run(bin('sallyportctl'), ['central', '--socket', join(house.state, 'run/central.sock'), 'records', site]);
  expect(records).toMatch(new RegExp(`/v1/site/${site}/rec/visitor/`));
  expect(records).toMatch(new RegExp(`/v1/site/${site}/rec/visit/`));
  for (const planted of [me.first, me.email, '13125550178', '1971-06-14', inmate().last, inmate().number]) {
    expect(spawnSync('grep', ['-rqaF', planted, join(house.state, 'centre')]).status, `${planted} in the centre's files`).toBe(1);
  }
});

test('no daemon wrote a name, a number or a secret into its log', () => {
  for (const planted of [me.first, me.email, '5550178', me.pin, inmate().last, inmate().pin]) {
    expect(spawnSync('grep', ['-rqaF', planted, join(running.house.state, 'run'), '--include=*.log']).status, `${planted} in the logs`).toBe(1);
  }
});

/** Runs a program and returns what it printed; throws with both of its outputs when it fails. */
function run(program: string, args: string[]): string {
  const r = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  if (r.status !== 0) throw new Error(`${program} ended with ${String(r.status)}:\n${r.stdout}\n${r.stderr}`);
  return r.stdout;
}
