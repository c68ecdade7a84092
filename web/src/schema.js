import { CorruptError, LimitError } from './errors.js';
import { inflate } from './inflate.js';
import { Kind, isResidual } from './kinds.js';
import { TYPES, fits, isFloat } from './properties.js';

const TEXT_BYTES = 2 ** 24;
const MAX_PROPERTIES = 65536;
const NAME = /^[\x21-\x7e]+$/;
const HEADER_LINE = /^[\x00-\x09\x0b\x0c\x0e-\x7f]*$/;

/**
 * @typedef {object} Layout
 * @property {boolean} text
 * @property {'<' | '>'} byte_order
 * @property {string[]} comments
 * @property {string[]} obj_info
 * @property {string[]} vertex_comments
 * @property {number} vertex_index
 */

/** The SCHM chunk (spec 4.4). */
export class Schema {
  /**
   * @param {import('./fields.js').FieldReader} fields
   * @param {import('./head.js').Head} head
   * @param {import('./limits.js').Limits} limits
   */
  constructor(fields, head, limits) {
    const size = fields.u32('size', 0, TEXT_BYTES);
    const { json, whole } = parseObject(inflate(fields.rest(), size));
    const check = (/** @type {boolean} */ condition, /** @type {string} */ what) =>
      fields.require(condition, `the schema's ${what} are not what they must be`);

    check(Array.isArray(json.properties) && json.properties.every(isProperty), 'properties');
    check(json.properties.length <= MAX_PROPERTIES, 'properties');
    /** @type {import('./properties.js').Property[]} */
    this.properties = json.properties.map(([name, type]) => ({ name, type }));
    /** Number of each property. @type {Map<string, number>} */
    this.numbers = new Map(this.properties.map(({ name }, number) => [name, number]));
    check(this.numbers.size === this.properties.length, 'properties');
    if (head.gaussians * this.properties.length > limits.values) {
      throw new LimitError('Gaussians times properties exceed the limit');
    }

    check(Array.isArray(json.groups) && json.groups.length === head.groups.length, 'groups');
    /** @type {{ name: string, columns: string[] }[]} */
    this.groups = json.groups.map((group, number) => {
      check(isObject(group) && typeof group.name === 'string' && isStrings(group.columns), 'groups');
      check(group.columns.length === head.groups[number].columns, 'groups');
      return { name: group.name, columns: group.columns };
    });

    check(isObject(json.constants), 'constants');
    /** Little-endian bytes of the value of each constant property. @type {Map<string, Uint8Array>} */
    this.constants = new Map();
    for (const [name, digits] of Object.entries(json.constants)) {
      check(typeof digits === 'string' && /^([0-9a-fA-F]{2})*$/.test(digits), 'constants');
      const bytes = Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
      check(this.numbers.has(name) && bytes.length === TYPES[this.type(name)].size, 'constants');
      this.constants.set(name, bytes);
    }

    check(isStrings(json.extras), 'extras');
    /** @type {string[]} */
    this.extras = json.extras;
    const grouped = this.groups.flatMap((group) => group.columns);
    const all = [...grouped, ...this.constants.keys(), ...this.extras];
    check(all.length === this.properties.length && all.every((name) => this.numbers.has(name)), 'columns');
    check(new Set(all).size === all.length, 'columns');

    check(json.exact === undefined || isStrings(json.exact), 'exact columns');
    /** @type {string[]} */
    this.exact = json.exact ?? [];
    check(new Set(this.exact).size === this.exact.length, 'exact columns');
    check(this.exact.every((name) => grouped.includes(name)), 'exact columns');

    this.groups.forEach(({ columns }, number) => {
      const { kind } = head.groups[number];
      if (kind !== Kind.POSITION && !isResidual(kind)) return;
      check(columns.every((name) => isFloat(this.type(name))), 'types');
    });

    check(json.elements !== undefined && json.original_order !== undefined, 'announcements');
    this.elements = json.elements === true;
    this.originalOrder = json.original_order === true;
    check(typeof json.encoder === 'string', 'texts');
    /** @type {string} */
    this.encoder = json.encoder;
    check(isLayout(json.layout) && whole.layout.vertex_index !== null, 'layout members');
    /** @type {Layout} */
    this.layout = json.layout;
  }

  /** @param {string} name of a property */
  type(name) {
    return this.properties[/** @type {number} */ (this.numbers.get(name))].type;
  }
}

/**
 * UTF-8 JSON, one object (spec 3.1). `whole` is the same with `null` for numbers that are no integers
 * up to 2^53 in magnitude, because `5.0` is none.
 *
 * @param {Uint8Array} bytes
 * @returns {{ json: Record<string, any>, whole: Record<string, any> }}
 */
export function parseObject(bytes) {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const json = JSON.parse(text);
    const whole = JSON.parse(text.replace(STRING_OR_NUMBER, (token) => (isFraction(token) ? 'null' : token)));
    if (isObject(json)) return { json, whole };
  } catch {
    // What is not JSON and what is not an object have the same outcome.
  }
  throw new CorruptError('the text is not a JSON object in UTF-8');
}

const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

function isFraction(/** @type {string} */ token) {
  if (token[0] === '"') return false;
  if (token.length < 16) return /[.eE]/.test(token);
  return !/^-?\d{1,16}$/.test(token) || BigInt(token.replace('-', '')) > 2n ** 53n;
}

export const isObject = (/** @type {unknown} */ value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isStrings = (/** @type {unknown} */ value) =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');

const isProperty = (/** @type {unknown} */ value) =>
  Array.isArray(value) &&
  value.length === 2 &&
  typeof value[0] === 'string' &&
  NAME.test(value[0]) &&
  typeof value[1] === 'string' &&
  Object.hasOwn(TYPES, value[1]);

const isLines = (/** @type {unknown} */ value) =>
  isStrings(value) && /** @type {string[]} */ (value).every((line) => HEADER_LINE.test(line));

const isLayout = (/** @type {any} */ value) =>
  isObject(value) &&
  typeof value.text === 'boolean' &&
  (value.byte_order === '<' || value.byte_order === '>') &&
  isLines(value.comments) &&
  isLines(value.obj_info) &&
  isLines(value.vertex_comments) &&
  Number.isInteger(value.vertex_index) &&
  fits(value.vertex_index, 'u1');
