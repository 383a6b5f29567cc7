import { svelte } from '@sveltejs/vite-plugin-svelte';
import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { doors, surfaces } from './build/doors.ts';

export default defineConfig({
  appType: 'mpa',
  plugins: [svelte(), doors()],
  build: {
    target: 'es2022',
    outDir: 'dist',
    manifest: true,
    // A data: URL is outside the content security policy, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      input: Object.fromEntries(surfaces.map((s) => [s, resolve(import.meta.dirname, s, 'index.html')])),
    },
  },
  test: {
    include: ['tests/unit/**/*.test.ts', 'tests/budgets/**/*.test.ts'],
    environment: 'node',
  },
});
