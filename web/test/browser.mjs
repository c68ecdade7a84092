/** The viewer in Chromium: levels arrive, the slider works, clicks find objects. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { serve } from '../serve.mjs';
import { decode } from '../src/index.js';
import { pick } from '../viewer/pick.js';
import { splatsOf } from '../viewer/splats.js';
import { launch } from './chromium.mjs';

const BYTES_PER_SECOND = 25_000;
const SETTLE_MS = 2500;
const SCREENSHOTS = fileURLToPath(new URL('../screenshots/', import.meta.url));

const read = (/** @type {string} */ name) =>
  new Uint8Array(readFileSync(new URL(`data/${name}`, import.meta.url)));

/** Where the middle of some rows is on the screen. */
function project(
  /** @type {import('../viewer/splats.js').Splats} */ { centers },
  /** @type {number[]} */ rows,
  /** @type {import('../viewer/pick.js').Camera} */ { view, focal, width, height },
) {
  const middle = [0, 1, 2].map(
    (axis) => rows.reduce((sum, row) => sum + centers[3 * row + axis], 0) / rows.length,
  );
  const [x, y, z] = [0, 1, 2].map(
    (i) => view[i] * middle[0] + view[4 + i] * middle[1] + view[8 + i] * middle[2] + view[12 + i],
  );
  return [Math.round(width / 2 - (focal * x) / z), Math.round(height / 2 + (focal * y) / z)];
}

class Viewer {
  constructor(/** @type {import('playwright-core').Page} */ page, /** @type {string} */ origin) {
    this.page = page;
    this.origin = origin;
    /** @type {string[]} */
    this.errors = [];
    page.on('pageerror', (error) => this.errors.push(String(error.stack)));
  }

  open(/** @type {string} */ name) {
    return this.page.goto(`${this.origin}/?file=test/data/${name}&up=z`);
  }

  /** Wait until what the page says of itself meets a condition. */
  async until(/** @type {string} */ condition) {
    await this.page.waitForFunction(`(({ level, ended }) => ${condition})(document.body.dataset)`);
    return this.page.evaluate(() => ({ ...document.body.dataset }));
  }

  async setLevel(/** @type {number} */ level) {
    await this.page.fill('#level', String(level));
    await this.until(`level === '${level}'`);
  }

  async screenshot(/** @type {string} */ name) {
    await this.page.waitForTimeout(SETTLE_MS);
    await this.page.screenshot({ path: `${SCREENSHOTS}${name}.png` });
  }

  camera() {
    return this.page.evaluate(() => /** @type {any} */ (window).viewer.stage.camera);
  }

  text(/** @type {string} */ selector) {
    return this.page.textContent(selector);
  }
}

async function testIds(/** @type {Viewer} */ viewer) {
  const scene = decode(read('table.csgs'));
  const splats = splatsOf(scene.columns, scene.count);
  const ids = Array.from(/** @type {ArrayLike<number>} */ (scene.columns.get('label')));

  await viewer.open('table.csgs');
  const first = await viewer.until("Number(level) >= 1");
  assert.equal(first.ended, 'false', 'level 1 is shown before the file is complete');
  await viewer.until("ended === 'true'");
  assert.match(String(await viewer.text('#status')), /level 5 of 5, 17,445 Gaussians/);
  await viewer.screenshot('level-5');

  await viewer.setLevel(1);
  assert.match(String(await viewer.text('#status')), /level 1 of 5, 2,617 Gaussians/);
  await viewer.screenshot('level-1');
  await viewer.setLevel(5);

  const camera = await viewer.camera();
  for (const { id, name } of (scene.objects?.objects ?? []).filter(({ name }) => /ball|can|box|vase/.test(name))) {
    const rows = ids.flatMap((other, row) => (other === id ? [row] : []));
    const [x, y] = project(splats, rows, camera);
    assert.equal(ids[pick(splats, camera, x, y)], id, `the middle of ${name} shows it`);
    await viewer.page.mouse.click(x, y);
    assert.equal(await viewer.text('#selection'), `label ${id} (${name}): ${rows.length} Gaussians`);
    if (name === 'ball') await viewer.screenshot('highlight');
  }
  await viewer.page.click('#clear');
  assert.equal(await viewer.text('#selection'), 'Click an object to highlight it');
}

async function testSemantics(/** @type {Viewer} */ viewer) {
  await viewer.open('room.csgs');
  await viewer.until("ended === 'true'");
  const { width, height } = await viewer.camera();
  const middle = /** @type {const} */ ([Math.round(0.58 * width), Math.round(0.5 * height)]);
  const similar = async () => {
    const text = String(await viewer.text('#selection'));
    assert.match(text, /^\d+ Gaussians are similar$/);
    return parseInt(text);
  };
  await viewer.page.mouse.click(...middle);
  const some = await similar();
  await viewer.page.fill('#threshold', '0.7');
  const more = await similar();
  await viewer.screenshot('similarity');
  assert.ok(some >= 1 && more > some, `a lower threshold finds more: ${some}, ${more}`);
}

mkdirSync(SCREENSHOTS, { recursive: true });
const server = await serve({ bytesPerSecond: BYTES_PER_SECOND });
const browser = await launch();
try {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const page = await browser.newPage({ viewport: { width: 880, height: 550 } });
  const viewer = new Viewer(page, `http://127.0.0.1:${port}`);
  for (const test of [testIds, testSemantics]) {
    await test(viewer);
    assert.deepEqual(viewer.errors, []);
    console.log(`ok ${test.name}`);
  }
} finally {
  await browser.close();
  server.close();
}
