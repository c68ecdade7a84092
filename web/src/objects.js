/** The object table: what the ids of a scene are called (spec 13.2). */

import { inflate } from './inflate.js';
import { fits, isFloat } from './properties.js';
import { isObject, parseObject } from './schema.js';

const TEXT_BYTES = 2 ** 24;
const MAX_OBJECTS = 2 ** 16;
const MAX_NAME = 1024;

/**
 * @typedef {object} SceneObject
 * @property {number} id
 * @property {string} name
 * @property {string | null} colour `#rrggbb`
 * @property {number} count Gaussians of the whole scene with this id
 * @property {[number[], number[]] | null} box
 *
 * @typedef {{ property: string, objects: SceneObject[] }} ObjectTable
 */

/**
 * @param {import('./fields.js').FieldReader} fields
 * @param {import('./schema.js').Schema} schema
 * @param {number} gaussians
 * @returns {ObjectTable}
 */
export function readObjects(fields, schema, gaussians) {
  const size = fields.u32('size', 0, TEXT_BYTES);
  const { json, whole } = parseObject(inflate(fields.rest(), size));
  const check = (/** @type {boolean} */ condition) =>
    fields.require(condition, 'the object table is not what it must be');
  check(typeof json.property === 'string' && schema.numbers.has(json.property));
  check(Array.isArray(json.objects) && json.objects.length <= MAX_OBJECTS);
  const type = schema.type(json.property);
  check(json.objects.every((/** @type {unknown} */ object) => isSceneObject(object, type)));
  check(whole.objects.every((/** @type {any} */ { id, count }) => id !== null && count !== null));
  /** @type {SceneObject[]} */
  const objects = json.objects.map(({ id, name, colour, count, box }) => ({ id, name, colour, count, box }));
  check(new Set(objects.map(({ id }) => id)).size === objects.length);
  check(objects.reduce((sum, { count }) => sum + count, 0) <= gaussians);
  return { property: json.property, objects };
}

function isSceneObject(
  /** @type {any} */ value,
  /** @type {import('./properties.js').TypeName} */ type,
) {
  return (
    isObject(value) &&
    Number.isInteger(value.id) &&
    (isFloat(type) ? Math.abs(value.id) <= 2 ** 53 : fits(value.id, type)) &&
    typeof value.name === 'string' &&
    [...value.name].length <= MAX_NAME &&
    !/[\p{Cc}\p{Cs}]/u.test(value.name) &&
    (value.colour === null || (typeof value.colour === 'string' && /^#[0-9a-f]{6}$/.test(value.colour))) &&
    Number.isInteger(value.count) &&
    value.count >= 0 &&
    (value.box === null || isBox(value.box))
  );
}

const isPoint = (/** @type {any} */ value) =>
  Array.isArray(value) && value.length === 3 && value.every((item) => Number.isFinite(item));

const isBox = (/** @type {any} */ value) =>
  Array.isArray(value) &&
  value.length === 2 &&
  value.every(isPoint) &&
  value[0].every((/** @type {number} */ low, /** @type {number} */ axis) => low <= value[1][axis]);
