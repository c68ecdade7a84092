/** The page: opens files, shows levels, highlights objects. */

import { pick } from './pick.js';
import { featuresOf, idProperty, idsOf, listObjects, similarities, withId } from './selection.js';
import { splatsOf } from './splats.js';
import { Stage } from './stage.js';

const CLICK_PIXELS = 4;

const element = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const canvas = element('canvas');
const stage = new Stage(canvas);
const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });

/** @type {{ level: number, levels: number, count: number } & import('./selection.js').SceneMessage | null} */
let scene = null;
/** @type {import('./splats.js').Splats | null} */
let splats = null;
/** What is highlighted. @type {{ id: number } | { row: number, values: Float64Array } | null} */
let selected = null;
let bytes = 0;
let ended = false;

function open(/** @type {object} */ request, /** @type {Transferable[]} */ transfer = []) {
  scene = null;
  splats = null;
  selected = null;
  bytes = 0;
  ended = false;
  element('level').disabled = true;
  element('objects').hidden = true;
  showSelection();
  showStatus();
  worker.postMessage(request, transfer);
}

worker.onmessage = async ({ data }) => {
  if (data.bytes) bytes = data.bytes;
  if (data.type === 'scene') await showScene(data);
  if (data.type === 'end') ended = true;
  showStatus(data.type === 'error' ? data.message : undefined);
};

async function showScene(/** @type {any} */ message) {
  const first = scene === null;
  scene = message;
  splats = splatsOf(message.columns, message.count);
  if (selected && 'row' in selected) selected = null;
  const slider = element('level');
  slider.max = message.complete;
  slider.value = message.level;
  slider.disabled = false;
  if (first) stage.frame(splats);
  await stage.show(splats);
  showObjects();
  applySelection();
}

function showStatus(/** @type {string | undefined} */ error = undefined) {
  const status = element('status');
  status.classList.toggle('error', error !== undefined);
  element('levelName').value = scene ? `${scene.level} of ${scene.levels}` : '-';
  document.body.dataset.level = String(scene?.level ?? 0);
  document.body.dataset.ended = String(ended);
  if (error !== undefined) status.textContent = error;
  else if (!scene) status.textContent = bytes > 0 ? `${bytes.toLocaleString('en')} bytes` : 'No file';
  else {
    const amount = `${bytes.toLocaleString('en')} bytes${ended ? '' : ' so far'}`;
    status.textContent = `${amount}, level ${scene.level} of ${scene.levels}, ${scene.count.toLocaleString('en')} Gaussians`;
  }
}

function showObjects() {
  if (!scene) return;
  const objects = listObjects(scene);
  element('objects').hidden = objects.length === 0;
  const items = objects.map(({ id, name, count }) => {
    const button = document.createElement('button');
    const amount = document.createElement('span');
    amount.className = 'count';
    amount.textContent = String(count);
    button.append(`${id} ${name}`, amount);
    button.dataset.id = String(id);
    button.onclick = () => select({ id });
    const item = document.createElement('li');
    item.append(button);
    return item;
  });
  element('objectList').replaceChildren(...items);
}

function select(/** @type {typeof selected} */ what) {
  selected = what;
  applySelection();
}

/** Highlight what is selected, as far as the level shows it. */
function applySelection() {
  if (!scene || !splats) return;
  const marks = marksOf();
  stage.highlight(splats, marks);
  showSelection(marks?.reduce((sum, mark) => sum + mark, 0));
}

function marksOf() {
  if (!scene || !selected) return null;
  if ('id' in selected) {
    const ids = idsOf(scene);
    return ids ? withId(ids, selected.id) : null;
  }
  const threshold = Number(element('threshold').value);
  return Uint8Array.from(selected.values, (value) => (value >= threshold ? 1 : 0));
}

function showSelection(/** @type {number | undefined} */ count = undefined) {
  const similar = selected !== null && 'row' in selected;
  element('similarity').hidden = !similar;
  element('clear').hidden = selected === null;
  element('thresholdName').value = element('threshold').value;
  for (const button of element('objectList').querySelectorAll('button')) {
    const pressed = selected !== null && 'id' in selected && Number(button.dataset.id) === selected.id;
    button.setAttribute('aria-pressed', String(pressed));
  }
  element('selection').textContent = selectionText(count);
}

function selectionText(/** @type {number | undefined} */ count) {
  if (!scene || !selected) return 'Click an object to highlight it';
  if ('row' in selected) return `${count} Gaussians are similar`;
  const { id } = selected;
  const name = scene.objects?.objects.find((object) => object.id === id)?.name;
  const what = `${idProperty(scene)} ${id}${name ? ` (${name})` : ''}`;
  return count === undefined ? `${what}: not at this level yet` : `${what}: ${count} Gaussians`;
}

function pickAt(/** @type {number} */ x, /** @type {number} */ y) {
  if (!scene || !splats) return;
  const row = pick(splats, stage.camera, x, y);
  const ids = idsOf(scene);
  const features = featuresOf(scene);
  if (row < 0) select(null);
  else if (ids) select({ id: ids[row] });
  else if (features.length > 0) select({ row, values: similarities(features, row) });
  else element('selection').textContent = 'This level has neither ids nor semantic features yet';
}

let pressedAt = [0, 0];
canvas.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
  pressedAt = [event.clientX, event.clientY];
});
canvas.addEventListener('pointerup', (/** @type {PointerEvent} */ event) => {
  const moved = Math.hypot(event.clientX - pressedAt[0], event.clientY - pressedAt[1]);
  const box = canvas.getBoundingClientRect();
  if (moved < CLICK_PIXELS) pickAt(event.clientX - box.left, event.clientY - box.top);
});

element('level').addEventListener('input', (/** @type {any} */ event) => {
  worker.postMessage({ type: 'level', level: Number(event.target.value) });
});
element('threshold').addEventListener('input', applySelection);
element('clear').addEventListener('click', () => select(null));
element('up').addEventListener('change', () => {
  stage.turn(element('up').value);
  if (splats) stage.frame(splats);
});

async function openFile(/** @type {File | undefined} */ file) {
  if (!file) return;
  const contents = new Uint8Array(await file.arrayBuffer());
  open({ type: 'bytes', bytes: contents }, [contents.buffer]);
}
element('file').addEventListener('change', (/** @type {any} */ event) => openFile(event.target.files[0]));
addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('dropping');
});
addEventListener('dragleave', () => document.body.classList.remove('dropping'));
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('dropping');
  openFile(event.dataTransfer?.files[0]);
});

const parameters = new URL(location.href).searchParams;
const up = parameters.get('up');
if (up && [...element('up').options].some(({ value }) => value === up)) element('up').value = up;
stage.turn(element('up').value);
const file = parameters.get('file');
if (file) open({ type: 'url', url: new URL(file, location.href).href });

/** For tests and the console. */
Object.assign(window, { viewer: { stage } });
