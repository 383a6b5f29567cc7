// Vite plugin: builds every surface by itself, into one folder, so that a first
// load brings what this surface uses of the framework and the shared parts, not
// what all four use together. For each it writes the files its door may serve
// (dist/<surface>/files.json, the closure of the entry over static and lazy
// imports) and the client routes for which the door answers with the index
// page (dist/<surface>/routes.json). A chunk of another surface is not in the
// list, so it is 404 at this door. Names carry a hash of the content: what is
// byte for byte the same in two surfaces (a font) is one file.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import type { BuildEnvironment, EnvironmentOptions, Plugin } from 'vite';

export const surfaces = ['visitor', 'kiosk', 'staff', 'setup'] as const;
export type Surface = (typeof surfaces)[number];

export interface Chunk {
  file: string;
  css?: string[];
  assets?: string[];
  imports?: string[];
  dynamicImports?: string[];
}
export type Manifest = Record<string, Chunk>;

/** What the build of a surface made, read from the folder it was built into. */
export function readManifest(out: string, surface: Surface): Manifest {
  return JSON.parse(readFileSync(join(out, manifestName(surface)), 'utf8')) as Manifest;
}

const manifestName = (surface: Surface) => `.vite/${surface}.json`;

/** The files that an entry reaches. Without lazy, only what its first load needs. */
export function closure(manifest: Manifest, entry: string, lazy: boolean): string[] {
  const files = new Set<string>();
  const seen = new Set<string>();
  const walk = (key: string) => {
    if (seen.has(key)) return;
    seen.add(key);
    const chunk = manifest[key];
    if (!chunk) throw new Error(`the manifest has no chunk ${key}`);
    files.add(chunk.file);
    for (const f of chunk.css ?? []) files.add(f);
    for (const f of chunk.assets ?? []) files.add(f);
    for (const k of chunk.imports ?? []) walk(k);
    if (lazy) for (const k of chunk.dynamicImports ?? []) walk(k);
  };
  walk(entry);
  return [...files].sort();
}

/** The route patterns of a surface, read from the text of its routes.ts. */
export function routePatterns(source: string): string[] {
  return [...source.matchAll(/path:\s*'([^']+)'/g)].map((m) => m[1] as string);
}

// Static files that only one surface serves, from the folder public/.
const extra: Partial<Record<Surface, string[]>> = {};

/** The build of one surface. The first empties the folder for all. */
function environment(root: string, surface: Surface): EnvironmentOptions {
  return {
    consumer: 'client',
    build: {
      manifest: manifestName(surface),
      ...(surface === surfaces[0] ? {} : { emptyOutDir: false }),
      rollupOptions: { input: { [surface]: resolve(root, surface, 'index.html') } },
    },
  };
}

export function doors(): Plugin {
  return {
    name: 'sallyport-doors',
    apply: 'build',
    config: ({ root = process.cwd() }) => ({
      builder: {},
      environments: Object.fromEntries(surfaces.map((s) => [s, environment(root, s)])),
    }),
    async buildApp(builder) {
      for (const surface of surfaces) await builder.build(builder.environments[surface] as BuildEnvironment);
    },
    generateBundle() {
      const { name, config } = this.environment;
      for (const id of this.getModuleIds()) {
        const [top = ''] = relative(config.root, id).split(sep);
        if (top !== name && surfaces.some((s) => s === top)) this.error(`${name} imports ${relative(config.root, id)}, a part of another surface`);
      }
    },
    writeBundle() {
      const { name, config } = this.environment;
      const surface = name as Surface;
      const out = resolve(config.root, config.build.outDir);
      const files = closure(readManifest(out, surface), `${surface}/index.html`, true);
      // Assets that a style sheet names (fonts) are not in every manifest entry: read them from the sheet.
      const assets = readdirSync(join(out, 'assets'));
      for (const sheet of files.filter((f) => f.endsWith('.css'))) {
        const text = readFileSync(join(out, sheet), 'utf8');
        for (const asset of assets) if (text.includes(asset) && !files.includes(`assets/${asset}`)) files.push(`assets/${asset}`);
      }
      files.push(...(extra[surface] ?? []));
      files.sort();
      const routes = routePatterns(readFileSync(join(config.root, surface, 'routes.ts'), 'utf8'));
      writeFileSync(join(out, surface, 'files.json'), JSON.stringify(files, null, 1) + '\n');
      writeFileSync(join(out, surface, 'routes.json'), JSON.stringify(routes, null, 1) + '\n');
    },
  };
}
