// What a visitor does, page by page, at 360x740.
import { expect, type Page } from '@playwright/test';
import { mail, type House } from '../fixtures/daemons.ts';
import { look } from '../fixtures/look.ts';

export interface Newcomer {
  first: string;
  last: string;
  phone: string;
  email: string;
  pin: string;
}

/** Creates an account in three steps, opens the link in the mail, and signs in. */
export async function register(page: Page, house: House, me: Newcomer): Promise<void> {
  await page.goto(house.addresses.visitor);
  await expect(page.getByRole('heading', { level: 1, name: 'Sign in' })).toBeVisible();
  await look(page, 'visitor-01-sign-in');
  await page.getByRole('link', { name: 'Create an account' }).click();
  await page.getByLabel('First name').fill(me.first);
  await page.getByLabel('Last name').fill(me.last);
  await page.getByLabel('Day').fill('14');
  await page.getByLabel('Month').fill('6');
  await page.getByLabel('Year').fill('1971');
  await look(page, 'visitor-02-about-you');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByLabel('Email address').fill(me.email);
  await page.getByLabel('Phone number').fill(me.phone);
  await page.getByLabel('Choose a PIN').fill(me.pin);
  await page.getByLabel('Type the PIN again').fill(me.pin);
  await look(page, 'visitor-03-how-to-reach-you');
  await page.getByRole('button', { name: 'Continue' }).click();
  await tickAll(page);
  await look(page, 'visitor-04-rules');
  await page.getByRole('button', { name: 'Create my account' }).click();
  await expect(page.getByTestId('check-email')).toBeVisible();
  await look(page, 'visitor-05-check-your-email');

  const link = /https?:\/\/\S+activate\S+/.exec((await mail(house, me.email, /activate/i)).body)?.[0];
  expect(link, 'the mail has the activation link').toBeTruthy();
  await page.goto(link ?? '');
  await expect(page.getByRole('heading', { level: 1, name: 'Your account is on' })).toBeVisible();
  await look(page, 'visitor-06-activated');
  await signIn(page, house, me);
}

export async function signIn(page: Page, house: House, me: Pick<Newcomer, 'phone' | 'pin'>): Promise<void> {
  await page.goto(house.addresses.visitor);
  await page.getByLabel('Phone number').fill(me.phone);
  await page.getByLabel('PIN', { exact: true }).fill(me.pin);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Before you go on' })).toBeVisible();
  await tickAll(page);
  await look(page, 'visitor-07-agreement');
  await page.getByRole('button', { name: 'Accept' }).click();
  await expect(page.getByRole('heading', { level: 1, name: /^Hello/ })).toBeVisible();
}

export async function tickAll(page: Page): Promise<void> {
  for (const box of await page.getByRole('checkbox').all()) await box.check();
}

/** Takes the pictures with the camera and sends them. */
export async function sendIdentity(page: Page): Promise<void> {
  await page.getByRole('link', { name: /Send your ID/ }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Your ID' })).toBeVisible();
  for (const kind of ['id_front', 'id_back', 'selfie']) {
    const card = page.getByTestId(`photo-${kind}`);
    await card.getByRole('button', { name: 'Take a photo' }).click();
    await card.getByRole('button', { name: 'Take the photo' }).click();
    await expect(card.getByTestId('photo-state')).toHaveText(/Added/);
  }
  await look(page, 'visitor-08-identity');
  await page.getByTestId('submit-identity').click();
  await expect(page.getByTestId('identity-state')).toContainText('We are checking your ID');
  await look(page, 'visitor-09-identity-sent');
}

export async function addPerson(page: Page, inmate: { first: string; last: string; number: string; born: string }): Promise<void> {
  const [year, month, day] = inmate.born.split('-');
  await page.getByRole('link', { name: 'Add the person you want to visit' }).first().click();
  await page.getByLabel('Their first name').fill(inmate.first);
  await page.getByLabel('Their last name').fill(inmate.last);
  await page.getByLabel('Their number').fill(inmate.number);
  await page.getByLabel('Day').fill(day ?? '');
  await page.getByLabel('Month').fill(month ?? '');
  await page.getByLabel('Year').fill(year ?? '');
  await page.getByLabel('You are their…').selectOption({ label: 'Brother or sister' });
  await look(page, 'visitor-10-add-a-person');
  await page.getByRole('button', { name: 'Ask to visit' }).click();
  await expect(page.getByText(`Waiting for ${inmate.first}`)).toBeVisible();
  await look(page, 'visitor-11-people');
}

/** The first two steps of booking: who and how long, then a day (0: the first with times) and its first time. */
async function choose(page: Page, inmate: { first: string }, minutes: number, day: number, pictures: boolean): Promise<void> {
  await page.getByRole('link', { name: 'Book a visit' }).first().click();
  await expect(page.getByRole('heading', { level: 1, name: 'Who do you want to visit?' })).toBeVisible();
  await page.getByRole('radio', { name: new RegExp(inmate.first) }).check();
  await page.getByRole('radio', { name: `${minutes} minutes`, exact: true }).check();
  if (pictures) await look(page, 'visitor-12-book-who');
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Choose a day and time' })).toBeVisible();
  await page.getByRole('button', { name: /visit times?$/ }).nth(day).click();
  await page.getByTestId('times').getByRole('radio').first().check();
  if (pictures) await look(page, 'visitor-13-book-when');
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByTestId('hold')).toBeVisible();
}

/** A first visit can only be suggested: the first time of the next day. */
export async function suggest(page: Page, inmate: { first: string }, minutes: number): Promise<void> {
  await choose(page, inmate, minutes, 1, true);
  await expect(page.getByText('This is your first visit')).toBeVisible();
  await look(page, 'visitor-14-book-check');
  await page.getByRole('button', { name: 'Continue' }).click();
  await tickAll(page);
  await look(page, 'visitor-15-book-rules');
  await page.getByRole('button', { name: 'Send request' }).click();
  await expect(page.getByTestId('book-result')).toHaveAttribute('data-label', 'invited');
  await look(page, 'visitor-16-request-sent');
  await page.getByRole('link', { name: 'See this visit' }).click();
  await expect(page.getByTestId('visit-label')).toHaveText(/Invited/);
  await look(page, 'visitor-17-invited');
}

/** A later visit may be fixed at once: the next time there is. */
export async function confirm(page: Page, inmate: { first: string }, minutes: number): Promise<void> {
  await choose(page, inmate, minutes, 0, false);
  await page.getByRole('radio', { name: /Book it now/ }).check();
  await page.getByRole('button', { name: 'Continue' }).click();
  await tickAll(page);
  await page.getByRole('button', { name: 'Book visit' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Visit booked' })).toBeVisible();
  await look(page, 'visitor-20-booked');
}
