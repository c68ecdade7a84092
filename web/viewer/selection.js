/** Which Gaussians belong together: those with an id, or with similar semantic features. */

import { Kind } from '../src/kinds.js';

/**
 * @typedef {object} SceneMessage
 * @property {number} count
 * @property {Map<string, ArrayLike<number>>} columns
 * @property {{ kind: number, name: string, columns: string[] }[]} groups
 * @property {import('../src/objects.js').ObjectTable | null} objects
 */

const MAX_IDS = 4096;

/** The property whose values are ids; undefined if the scene has none. */
export function idProperty(/** @type {SceneMessage} */ { groups, objects }) {
  return objects?.property ?? groups.find(({ kind }) => kind === Kind.ID)?.columns[0];
}

/** Ids of the Gaussians, once their level is there. */
export function idsOf(/** @type {SceneMessage} */ scene) {
  const property = idProperty(scene);
  return property === undefined ? undefined : scene.columns.get(property);
}

/**
 * Objects to list: those of the object table, else the ids found.
 *
 * @param {SceneMessage} scene
 * @returns {{ id: number, name: string, count: number }[]}
 */
export function listObjects(scene) {
  const ids = idsOf(scene);
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const id of Array.from(ids ?? [])) counts.set(id, (counts.get(id) ?? 0) + 1);
  if (scene.objects) {
    return scene.objects.objects
      .filter(({ count }) => count > 0)
      .map(({ id, name, count }) => ({ id, name, count: ids ? (counts.get(id) ?? 0) : count }));
  }
  return [...counts]
    .sort(([a], [b]) => a - b)
    .slice(0, MAX_IDS)
    .map(([id, count]) => ({ id, name: '', count }));
}

/** Marks the Gaussians with an id. */
export const withId = (/** @type {ArrayLike<number>} */ ids, /** @type {number} */ id) =>
  Uint8Array.from(ids, (other) => (other === id ? 1 : 0));

/** Columns of semantic features. */
export function featuresOf(/** @type {SceneMessage} */ { groups, columns }) {
  return groups
    .filter(({ kind }) => kind === Kind.SEMANTIC)
    .flatMap((group) => group.columns.flatMap((name) => columns.get(name) ?? []));
}

/**
 * Cosine similarity of all features to those of one row.
 *
 * @param {ArrayLike<number>[]} features
 * @param {number} row
 */
export function similarities(features, row) {
  const count = features[0].length;
  const dots = new Float64Array(count);
  const squares = new Float64Array(count);
  for (const feature of features) {
    for (let i = 0; i < count; i++) {
      dots[i] += feature[i] * feature[row];
      squares[i] += feature[i] * feature[i];
    }
  }
  return dots.map((dot, i) => dot / Math.sqrt(squares[i] * squares[row] || 1));
}
