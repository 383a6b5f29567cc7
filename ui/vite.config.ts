import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { doors } from './build/doors.ts';

export default defineConfig({
  appType: 'mpa',
  plugins: [svelte(), doors()],
  build: {
    target: 'es2022',
    outDir: 'dist',
    // A data: URL is outside the content security policy, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  test: {
    include: ['tests/unit/**/*.test.ts', 'tests/budgets/**/*.test.ts'],
    environment: 'node',
  },
});
