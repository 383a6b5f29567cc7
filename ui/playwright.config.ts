import { defineConfig } from '@playwright/test';

// Debian's Chromium with fake devices against the real daemons. One worker: two cores carry real media.
const args = [
  '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
];

export default defineConfig({
  testDir: 'tests/e2e',
  workers: 1,
  retries: 0,
  forbidOnly: true,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  outputDir: '../build/e2e',
  reporter: [['list']],
  use: {
    launchOptions: { executablePath: process.env.CHROMIUM_BIN ?? '/usr/bin/chromium', ignoreDefaultArgs: ['--headless'], args },
    locale: 'en-GB',
    timezoneId: 'Europe/London',
    contextOptions: { reducedMotion: 'reduce' },
    trace: 'off',
  },
  projects: [{ name: 'chromium' }],
});
