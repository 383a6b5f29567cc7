// What an inmate does at a kiosk, at 1024x600.
import { expect, type Page } from '@playwright/test';
import type { House } from '../fixtures/daemons.ts';
import { look } from '../fixtures/look.ts';

/** Makes the screen a station, once. */
export async function enrol(page: Page, house: House, code: string): Promise<void> {
  await page.goto(house.addresses.kiosk);
  await expect(page.getByRole('heading', { level: 1, name: 'Set up this screen' })).toBeVisible();
  await look(page, 'kiosk-01-enrol');
  await page.getByLabel('Code of the station').fill(code);
  await page.getByRole('button', { name: 'Set up', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Sign in' })).toBeVisible();
}

export async function signIn(page: Page, inmate: { number: string; pin: string; first: string }): Promise<void> {
  await page.locator('#number').fill(inmate.number);
  await page.locator('#pin').fill(inmate.pin);
  await look(page, 'kiosk-02-sign-in');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { level: 1, name: `Hello, ${inmate.first}` })).toBeVisible();
  await look(page, 'kiosk-03-home');
}

/** Says yes to the one request that waits; the ten seconds of undo pass first. */
export async function accept(page: Page, who: string, name: string): Promise<void> {
  await page.getByRole('link', { name: /Visit requests/ }).click();
  const card = page.getByTestId('request').filter({ hasText: who });
  await expect(card).toBeVisible();
  await look(page, `kiosk-${name}`);
  await card.getByTestId('accept').tap();
  await expect(card.getByTestId('undo')).toBeVisible();
  await look(page, `kiosk-${name}-undo`);
  await expect(page.getByTestId('answered')).toBeVisible({ timeout: 20_000 });
  await page.getByRole('link', { name: 'Back' }).or(page.getByRole('button', { name: 'Back' })).first().click();
}
