/** The PLY's other elements (spec 6.5): a binary little-endian PLY of its own. */

import { LimitError, require } from './errors.js';
import { TYPES } from './properties.js';

/** Most rows of an element without properties. */
const MAX_EMPTY_ROWS = 65536;

/** Spellings of the PLY types. */
const SPELLINGS = new Map(
  Object.entries(TYPES).map(([type, { ply }]) => [ply, /** @type {import('./properties.js').TypeName} */ (type)]),
);
for (const [spelling, type] of [
  ['int8', 'i1'],
  ['uint8', 'u1'],
  ['int16', 'i2'],
  ['uint16', 'u2'],
  ['int32', 'i4'],
  ['uint32', 'u4'],
  ['float32', 'f4'],
  ['float64', 'f8'],
]) {
  SPELLINGS.set(spelling, /** @type {import('./properties.js').TypeName} */ (type));
}

/**
 * @typedef {object} ElementProperty
 * @property {string} name
 * @property {import('./properties.js').TypeName} type
 * @property {import('./properties.js').TypeName | null} length type of a list's length
 *
 * @typedef {object} Element
 * @property {string} name
 * @property {number} count
 * @property {string[]} comments
 * @property {ElementProperty[]} properties
 * @property {number[][][]} rows values of each property of each row
 */

/**
 * @param {Uint8Array} file
 * @param {import('./limits.js').Limits} limits
 * @returns {Element[]}
 */
export function parseElements(file, limits) {
  const { elements, end } = parseHeader(file);
  let listRows = 0;
  for (const { count, properties } of elements) {
    if (count > limits.gaussians) throw new LimitError(`an element of ${count} rows exceeds the limit`);
    listRows += count * properties.filter(({ length }) => length !== null).length;
  }
  if (listRows > limits.listRows) throw new LimitError(`${listRows} lists exceed the limit`);
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  let at = end;
  const value = (/** @type {import('./properties.js').TypeName} */ type) => {
    const { size, get } = TYPES[type];
    require(at + size <= file.length, 'the PLY of the elements ends early');
    at += size;
    return /** @type {any} */ (view)[get](at - size, true);
  };
  for (const { count, properties, rows } of elements) {
    require(properties.length > 0 || count <= MAX_EMPTY_ROWS, 'an element of the PLY has rows of nothing');
    for (let row = 0; row < count; row++) {
      rows.push(
        properties.map(({ type, length }) => {
          const items = length === null ? 1 : value(length);
          require(items >= 0 && at + items * TYPES[type].size <= file.length, 'a list of the PLY is too long');
          return Array.from({ length: items }, () => value(type));
        }),
      );
    }
  }
  require(at === file.length, 'bytes stand behind the PLY of the elements');
  return elements;
}

function parseHeader(/** @type {Uint8Array} */ file) {
  /** @type {Element[]} */
  const elements = [];
  let at = 0;
  const line = () => {
    const end = file.indexOf(10, at);
    require(end >= 0, 'the PLY of the elements has no whole header');
    const text = Array.from(file.subarray(at, end), (byte) => String.fromCharCode(byte)).join('');
    require(/^[\x00-\x0c\x0e-\x7f]*$/.test(text), 'the PLY header of the elements is not ASCII');
    at = end + 1;
    return text;
  };
  require(line() === 'ply', 'the elements are no PLY');
  require(line() === 'format binary_little_endian 1.0', 'the PLY of the elements is of another format');
  for (let text = line(); text !== 'end_header'; text = line()) {
    const [word, ...rest] = text.split(' ');
    if (word === 'comment' || word === 'obj_info') {
      if (word === 'comment') elements.at(-1)?.comments.push(text);
    } else if (word === 'element') {
      const [name, count] = rest;
      require(rest.length === 2 && /^\d+$/.test(count), 'an element of the PLY has no count');
      require(name !== 'vertex', 'the elements hold the vertex element');
      elements.push({ name, count: Number(count), comments: [], properties: [], rows: [] });
    } else {
      const element = elements.at(-1);
      require(word === 'property' && element !== undefined, 'a line of the PLY header is unknown');
      element.properties.push(parseProperty(rest));
    }
  }
  return { elements, end: at };
}

/** @returns {ElementProperty} */
function parseProperty(/** @type {string[]} */ words) {
  const list = words[0] === 'list';
  const [type, name] = list ? words.slice(2) : words;
  const length = list ? SPELLINGS.get(words[1]) : null;
  const item = SPELLINGS.get(type);
  const known = item !== undefined && length !== undefined && name !== undefined;
  require(known && words.length === (list ? 4 : 2), 'a property of the PLY is damaged');
  require(length === null || length[0] !== 'f', 'a list of the PLY has no whole length');
  return { name, type: item, length };
}
