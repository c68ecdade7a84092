import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../src/index.js';
import { pick } from '../viewer/pick.js';
import { featuresOf, idsOf, listObjects, similarities, withId } from '../viewer/selection.js';
import { splatsOf } from '../viewer/splats.js';
import { read } from './helpers.mjs';

const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
const CAMERA = { view: IDENTITY, focal: 100, width: 200, height: 100 };

/** Gaussians with isotropic or other scales, without rotation. */
function splats(/** @type {{ at: number[], scale: number | number[], logit: number }[]} */ list) {
  const column = (/** @type {(one: any) => number} */ value) => Float32Array.from(list, value);
  const scale = (/** @type {number} */ axis) =>
    column((one) => Math.log(Array.isArray(one.scale) ? one.scale[axis] : one.scale));
  const columns = new Map([
    ['x', column(({ at }) => at[0])],
    ['y', column(({ at }) => at[1])],
    ['z', column(({ at }) => at[2])],
    ['opacity', column(({ logit }) => logit)],
    ['scale_0', scale(0)],
    ['scale_1', scale(1)],
    ['scale_2', scale(2)],
  ]);
  return splatsOf(columns, list.length);
}

test('the front-most opaque Gaussian is picked, not the veil before it', () => {
  const scene = splats([
    { at: [0, 0, -5], scale: 0.2, logit: 5 },
    { at: [0, 0, -3], scale: 0.2, logit: 5 },
    { at: [0, 0, -2], scale: 0.2, logit: -3 },
    { at: [1, 0, -3], scale: 0.2, logit: 5 },
  ]);
  assert.equal(pick(scene, CAMERA, 100, 50), 1);
  assert.equal(pick(scene, CAMERA, 133, 50), 3);
  assert.equal(pick(scene, CAMERA, 10, 50), -1);
});

test('the shape of a Gaussian counts', () => {
  const scene = splats([{ at: [0, 0, -2], scale: [0.5, 0.01, 0.01], logit: 5 }]);
  assert.equal(pick(scene, CAMERA, 130, 50), 0);
  assert.equal(pick(scene, CAMERA, 100, 30), -1);
});

test('objects and ids', () => {
  const scene = decode(read('table.csgs'));
  const ids = /** @type {ArrayLike<number>} */ (idsOf(scene));
  const ball = listObjects(scene).find(({ name }) => name === 'ball');
  assert.deepEqual(ball, { id: 7, name: 'ball', count: 906 });
  assert.equal(withId(ids, 7).reduce((sum, mark) => sum + mark, 0), 906);
  assert.equal(idsOf(decode(read('table.csgs'), { level: 1 })), undefined);
});

test('similarity of features', () => {
  const scene = decode(read('room.csgs'));
  const features = featuresOf(scene);
  assert.equal(features.length, 16);
  const values = similarities(features, 5);
  assert.ok(Math.abs(values[5] - 1) < 1e-6);
  assert.ok(values.every((value) => value >= -1.0001 && value <= 1.0001));
});
