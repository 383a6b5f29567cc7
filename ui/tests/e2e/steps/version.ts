// An administrator has a version installed: the door and the page are real, the test plays the unit of the box.
import { expect, type Page } from '@playwright/test';
import type { Bare } from '../fixtures/bare.ts';
import { look } from '../fixtures/look.ts';

const stands = {
  at: '2026-11-22T12:00:00Z', running: '1.4.0', built: '2026-01-01', previous: '1.3.0', source: 'https', install: 'ask',
  found: [
    { version: '1.5.0', built: '2026-02-01', notes: { en: 'Quieter calls.' } },
    { version: '1.4.5', built: '2026-01-15', code: 'update.refused', says: 'Refused.' },
    { version: '1.3.0', built: '2025-12-01', code: 'update.older', says: 'Older.' },
    { code: 'signature.wrong', says: 'The signature is wrong.' },
  ],
  refused: [{ version: '1.4.5', at: '2026-11-20T02:10:00Z', why: 'health check doors' }],
};

export async function installVersion(page: Page, house: Bare): Promise<void> {
  const { tell, take } = house.box;
  const asked = async (want: unknown) => {
    let got: unknown;
    await expect.poll(() => (got = got ?? take())).toEqual(want);
  };
  const work = page.getByTestId('version-work');
  const step = (told: Record<string, unknown>) => tell('update.json', { version: '1.5.0', percent: 0, at: '2026-11-22T12:00:00Z', visits: 0, ...told });

  await page.getByRole('navigation', { name: 'Steps' }).getByRole('link', { name: 'Version' }).click();
  await expect(page.getByText('does not run from an image')).toBeVisible();
  await look(page, 'setup-20-version-none');
  tell('versions.json', stands);
  await page.reload();
  await expect(page.getByTestId('version-running')).toContainText('Version 1.4.0');
  const found = page.getByTestId('version');
  await expect(found).toHaveCount(4);
  await expect(found.nth(1)).toContainText('It was tried and did not work');
  await expect(found.nth(2)).toContainText('older than version 1.4.0');
  await expect(found.nth(3)).toContainText('The signature is wrong');
  await expect(page.getByTestId('version-install')).toHaveCount(1);
  await look(page, 'setup-21-version');

  // A stick without anything, by the keyboard alone.
  await page.getByTestId('version-look').focus();
  await page.keyboard.press('Enter');
  await expect(work).toHaveAttribute('data-step', 'asked');
  await asked({ do: 'look' });
  step({ version: undefined, step: 'failed', code: 'update.noStick' });
  await expect(work).toContainText('no stick with the label SALLYPORT');
  await look(page, 'setup-22-version-no-stick');

  // The code was shown too long ago, and then again: both answers are forced, for nobody waits so long here, and each code is good once.
  await page.route('**/api/setup/session/totp', async (r) => r.fulfill({ response: await page.request.get(`${house.addresses.setup}/api/setup/session`) }), { times: 1 });
  const old = { type: 'about:blank', title: 'unauthenticated', status: 401, code: 'staff.stepUp' };
  await page.route('**/api/setup/versions/1.5.0/install', (r) => r.fulfill({ status: 401, contentType: 'application/problem+json', json: old }), { times: 1 });
  await page.getByTestId('version-install').click();
  await look(page, 'setup-23-version-ask');
  await page.getByTestId('version-yes').press('Enter');
  await expect(page.getByTestId('proof')).toContainText('before you change the version');
  await page.getByTestId('proof').getByLabel('Code').fill('123456');
  await page.getByTestId('proof').getByRole('button', { name: 'Continue' }).click();
  await expect(work).toHaveAttribute('data-step', 'asked');
  await asked({ do: 'install', version: '1.5.0' });
  step({ step: 'unpack', percent: 40 });
  await expect(page.getByRole('progressbar')).toHaveAttribute('value', '40');
  await expect(page.getByTestId('version-install')).toHaveCount(0);
  await look(page, 'setup-24-version-unpack');
  tell('versions.json', { ...stands, trial: { version: '1.5.0', from: '1.4.0', at: '2026-11-22T12:00:00Z', ready: true } });
  step({ step: 'wait', visits: 2, until: '2026-11-23T00:00:00Z' });
  await expect(work).toContainText('2 visits are on or begin soon');
  await expect(work).toContainText('It waits until');
  await look(page, 'setup-25-version-wait');
  step({ step: 'stopped', visits: 2 });
  await expect(page.getByTestId('version-start')).toBeVisible();
  await look(page, 'setup-26-version-stopped');
  await page.getByTestId('version-start').click();
  await page.getByTestId('version-yes').click();
  await asked({ do: 'install', version: '1.5.0' });
  step({ step: 'restart' });
  await expect(work).toContainText('The box starts anew');

  // The new version, on trial.
  tell('update.json', {});
  tell('versions.json', { ...stands, running: '1.5.0', found: [], trial: { version: '1.5.0', from: '1.4.0', at: '2026-11-22T12:00:00Z', ready: true } });
  await expect(page.getByTestId('version-running')).toContainText('On trial');
  await expect(page.getByTestId('version-running')).toContainText('1.4.0 is kept');
  await page.getByRole('button', { name: 'Allow version 1.4.5 again' }).click();
  await asked({ do: 'clear', version: '1.4.5' });
  await page.getByRole('button', { name: 'Close' }).first().click();
  await look(page, 'setup-27-version-trial');
}
