// One whole visit in three browsers: a visitor's phone, the inmate's kiosk and the staff console.
import { expect, test, type BrowserContext, type Page } from '@playwright/test';
import { start, type Running } from './fixtures/daemons.ts';
import { remember, watch } from './fixtures/look.ts';
import * as visitor from './steps/visitor.ts';

let running: Running;
const trouble: string[] = [];
const contexts: BrowserContext[] = [];
let phone: Page;

test.describe.configure({ mode: 'serial' });

test.beforeAll(async ({ browser }) => {
  test.setTimeout(180_000);
  running = await start();
  const open = async (who: string, options: Parameters<typeof browser.newContext>[0]) => {
    const c = await browser.newContext({ reducedMotion: 'reduce', ...options });
    contexts.push(c);
    watch(c, who, trouble);
    await remember(c);
    return c.newPage();
  };
  phone = await open('visitor', { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, permissions: ['camera', 'microphone'] });
});

test.afterAll(async () => {
  for (const c of contexts) await c.close();
  await running?.stop();
});

test('a visitor opens an account, proves who they are and asks for a person', async () => {
  test.setTimeout(120_000);
  const { house } = running;
  const me = { first: 'Dora', last: 'Ellis', phone: '+1 312 555 0178', email: `dora${Date.now()}@families.example`, pin: '583914' };
  await visitor.register(phone, house, me);
  await visitor.sendIdentity(phone);
  const inmate = house.people.inmates[4];
  if (!inmate) throw new Error('no inmate');
  await visitor.addPerson(phone, inmate);
  expect(trouble).toEqual([]);
});
