#!/usr/bin/env node
/** How fast files decode, in Node and in Chromium: `node bench.mjs FILE.csgs ...` prints a table. */

import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { serve } from './serve.mjs';
import { launch } from './test/chromium.mjs';
import { measure } from './measure.js';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const RUNS = 4;

async function inChromium(/** @type {string} */ file) {
  const folder = mkdtempSync(join(ROOT, 'bench-'));
  const server = await serve();
  const browser = await launch();
  try {
    copyFileSync(file, join(folder, 'file.csgs'));
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${port}/package.json`);
    return await page.evaluate(
      async ({ url, runs }) => {
        const module = '/measure.js';
        const { measure } = await import(module);
        const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
        return measure(bytes, runs);
      },
      { url: `/${relative(ROOT, folder)}/file.csgs`, runs: RUNS },
    );
  } finally {
    await browser.close();
    server.close();
    rmSync(folder, { recursive: true });
  }
}

const load = () => loadavg()[0].toFixed(1);
console.log(`${cpus().length} cores, ${cpus()[0].model}, Node ${process.versions.node}\n`);
console.log('| file | Gaussians | where | first, s | best, s | best, s per million | load |');
console.log('|---|---:|---|---:|---:|---:|---:|');
for (const file of process.argv.slice(2)) {
  const places = {
    Node: () => measure(new Uint8Array(readFileSync(file)), RUNS),
    Chromium: () => inChromium(file),
  };
  for (const [place, run] of Object.entries(places)) {
    const { count, seconds } = await run();
    const best = Math.min(...seconds);
    const cells = [basename(file), count.toLocaleString('en'), place, seconds[0].toFixed(2), best.toFixed(2)];
    console.log(`| ${[...cells, ((best / count) * 1e6).toFixed(2), load()].join(' | ')} |`);
  }
}
