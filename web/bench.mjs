#!/usr/bin/env node
/** How fast files decode, in Node and in Chromium: `node bench.mjs FILE.csgs ...` prints a table. */

import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { measure } from './measure.js';
import { serve } from './serve.mjs';
import { launch } from './test/chromium.mjs';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const RUNS = 6;

/** @typedef {{ count: number, seconds: number, cpu: number }} Run one run, with its CPU seconds */

/** @returns {Promise<Run[]>} */
async function inNode(/** @type {string} */ file) {
  const bytes = new Uint8Array(readFileSync(file));
  return Array.from({ length: RUNS }, () => {
    const start = process.cpuUsage();
    const run = measure(bytes);
    const { user, system } = process.cpuUsage(start);
    return { ...run, cpu: (user + system) / 1e6 };
  });
}

/** In a page; CPU seconds are those of its main thread. @returns {Promise<Run[]>} */
async function inChromium(/** @type {string} */ file) {
  const folder = mkdtempSync(join(ROOT, 'bench-'));
  const server = await serve();
  const browser = await launch();
  try {
    copyFileSync(file, join(folder, 'file.csgs'));
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${port}/package.json`);
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    const cpu = async () => {
      const { metrics } = await session.send('Performance.getMetrics');
      return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? NaN;
    };
    const decodeInPage = async (/** @type {string} */ url) => {
      const module = '/measure.js';
      const { measure } = await import(module);
      return measure(new Uint8Array(await (await fetch(url)).arrayBuffer()));
    };
    const runs = [];
    for (let i = 0; i < RUNS; i++) {
      const start = await cpu();
      const run = await page.evaluate(decodeInPage, `/${relative(ROOT, folder)}/file.csgs`);
      runs.push({ ...run, cpu: (await cpu()) - start });
    }
    return runs;
  } finally {
    await browser.close();
    server.close();
    rmSync(folder, { recursive: true });
  }
}

console.log(`${cpus().length} cores, ${cpus()[0].model}, Node ${process.versions.node}; ${RUNS} runs each\n`);
console.log('| file | Gaussians | where | first, s | best, s | best, s per million | least CPU, s per million | load |');
console.log('|---|---:|---|---:|---:|---:|---:|---:|');
for (const file of process.argv.slice(2)) {
  for (const [place, run] of Object.entries({ Node: inNode, Chromium: inChromium })) {
    const runs = await run(file);
    const [{ count, seconds: first }] = runs;
    const best = Math.min(...runs.map(({ seconds }) => seconds));
    const cpu = Math.min(...runs.map((one) => one.cpu));
    const millions = count / 1e6;
    const times = [first, best, best / millions, cpu / millions].map((seconds) => seconds.toFixed(2));
    const cells = [basename(file), count.toLocaleString('en'), place, ...times, loadavg()[0].toFixed(1)];
    console.log(`| ${cells.join(' | ')} |`);
  }
}
