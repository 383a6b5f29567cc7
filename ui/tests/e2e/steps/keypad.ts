// What an inmate does at a kiosk, with the keys on the screen.
import { expect, type Page } from '@playwright/test';
import type { House } from '../fixtures/daemons.ts';

/** Presses keys, and changes between letters and numbers where it must. */
export async function type(page: Page, text: string): Promise<void> {
  const pad = page.getByTestId('keypad');
  for (const c of text) {
    const key = pad.getByRole('button', { name: c, exact: true });
    if (!(await key.isVisible())) await page.getByRole('button', { name: /\d/.test(c) ? 'Show numbers' : 'Show letters' }).click();
    await key.click();
  }
}

/** Turns the page into a station, as an installer does. */
export async function enrol(page: Page, house: House, station: string): Promise<void> {
  const found = house.people.stations.find((s) => s.name === station);
  if (!found) throw new Error(`no station ${station}`);
  await page.goto(house.addresses.kiosk);
  await expect(page.getByRole('heading', { name: 'Set up this screen' })).toBeVisible();
  await type(page, found.code.replace(/-/g, ''));
  await page.getByRole('button', { name: 'Set up', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
}

export async function signIn(page: Page, who: { number: string; pin: string }): Promise<void> {
  await page.getByRole('textbox', { name: 'Your number' }).click();
  await type(page, who.number);
  await page.getByRole('textbox', { name: 'PIN' }).click();
  await type(page, who.pin);
  await page.getByRole('button', { name: 'OK' }).click();
}
