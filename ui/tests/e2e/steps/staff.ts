// What staff do at the console, at 1920x1080.
import { expect, type Page } from '@playwright/test';
import { totp, type House } from '../fixtures/daemons.ts';
import { look } from '../fixtures/look.ts';

/** Signs in with password and authenticator. */
export async function signIn(page: Page, house: House, role: string): Promise<void> {
  const who = house.people.staff.find((s) => s.role === role);
  if (!who) throw new Error(`no ${role} in this house`);
  await page.goto(house.addresses.staff);
  await page.getByLabel('User name').fill(who.username);
  await page.getByLabel('Password', { exact: true }).fill(who.password);
  if (role === 'moderator') await look(page, 'staff-01-sign-in');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByLabel('Code', { exact: true }).fill(totp(who.totp));
  if (role === 'moderator') await look(page, 'staff-02-code');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('navigation', { name: 'Pages' })).toBeVisible();
}

/** Takes the newcomer's ID from the queue and approves it. */
export async function verify(page: Page, name: string): Promise<void> {
  await page.getByRole('link', { name: /Moderation/ }).click();
  await page.getByTestId('case-row').filter({ hasText: name }).click();
  const item = page.getByTestId('case');
  await expect(item).toContainText(name);
  await expect(item.getByRole('img').first()).toBeVisible();
  await look(page, 'staff-03-moderation');
  await page.getByTestId('approve').click();
  await expect(page.getByTestId('case-row').filter({ hasText: name })).toHaveCount(0);
}
