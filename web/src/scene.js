/** A decoded scene at a level: columns in the order of the schema (spec 9). */

import { compensate as compensated } from './compensate.js';
import { labelColumn, positionColumns, residualColumns } from './columns.js';
import { Kind, isLabel, isResidual } from './kinds.js';
import { TYPES, bytesOf } from './properties.js';
import { segmentsOf } from './rows.js';
import { LabelCoding } from './codings.js';

/**
 * @typedef {import('./properties.js').Column} Column
 *
 * @typedef {object} Source
 * @property {import('./head.js').Head} head
 * @property {import('./schema.js').Schema} schema
 * @property {number} level
 * @property {boolean} compensate
 * @property {import('./tile.js').Tile[]} tiles
 * @property {import('./codings.js').Coding[]} codings
 * @property {import('./exact.js').ExactData} exact
 * @property {boolean} simd
 */

export class Scene {
  /**
   * @param {import('./decoder.js').Decoder} decoder
   * @param {Source} source
   */
  constructor(decoder, source) {
    const { head, schema, level } = source;
    const { passes, compensation, gaussians } = decoder.levels[level - 1];
    /** Counted from 1. */
    this.level = level;
    /** Number of levels of the file. */
    this.levels = decoder.levels.length;
    /** Rows. */
    this.count = gaussians;
    this.schema = schema;
    this.groups = schema.groups.map((group, number) => ({ ...group, kind: head.groups[number].kind }));
    this.objects = decoder.objects;
    this.attachments = decoder.attachments;

    const done = head.done(passes);
    const layers = done.filter((groups) => groups > 0).length;
    const segments = segmentsOf(source.tiles, layers);
    const exact = passes === head.passes.length && head.exact ? source.exact : null;
    /** @type {Map<string, Column>} */
    const found = new Map();
    this.#addGroups(found, source, done.slice(0, layers), segments);
    this.#addConstants(found);
    if (source.compensate && compensation) compensated(found, this.groups, segments, layers, compensation);
    exact?.columns.forEach((column, name) => found.set(name, column));
    if (exact?.exceptions) replace(found, schema, exact.exceptions);
    if (exact?.order) reorder(found, exact.order);

    /** Elements of the PLY other than `vertex`. */
    this.elements = exact?.elements ?? [];
    /** Columns by name, in the order of the schema. @type {Map<string, Column>} */
    this.columns = new Map();
    for (const { name } of schema.properties) {
      const column = found.get(name);
      if (column) this.columns.set(name, column);
    }
  }

  /** Columns of the groups that the level holds. */
  #addGroups(
    /** @type {Map<string, Column>} */ found,
    /** @type {Source} */ { head, schema, codings, simd },
    /** @type {number[]} */ done,
    /** @type {import('./rows.js').Segment[]} */ segments,
  ) {
    head.groups.forEach(({ kind, columns }, group) => {
      const some = done.some((groups) => groups > group);
      const all = done.length > 0 && done.every((groups) => groups > group);
      const names = schema.groups[group].columns;
      const targets = names.map((name) => new TYPES[schema.type(name)].array(some ? this.count : 0));
      const held = (/** @type {number} */ number, /** @type {number} */ layer) => done[layer] > number;
      if (!some || columns === 0) return;
      if (kind === Kind.POSITION) {
        positionColumns(head, segments, held, targets);
      } else if (isResidual(kind)) {
        residualColumns(head, group, codings, segments, held, targets, simd);
      } else if (isLabel(kind) && all) {
        labelColumn(group, /** @type {LabelCoding} */ (codings[group]), segments, targets[0]);
      } else {
        return;
      }
      names.forEach((name, i) => found.set(name, targets[i]));
    });
  }

  #addConstants(/** @type {Map<string, Column>} */ found) {
    for (const [name, bytes] of this.schema.constants) {
      const { array } = TYPES[this.schema.type(name)];
      const [value] = new array(bytes.slice().buffer);
      const column = new array(this.count);
      if (Number.isNaN(value)) repeat(bytes, column);
      else column.fill(value);
      found.set(name, column);
    }
  }
}

/** Fill a column with the bytes of a NaN. */
function repeat(/** @type {Uint8Array} */ bytes, /** @type {Column} */ column) {
  const target = bytesOf(column);
  for (let at = 0; at < target.length; at += bytes.length) target.set(bytes, at);
}

/** Replace single values, bit for bit. */
function replace(
  /** @type {Map<string, Column>} */ columns,
  /** @type {import('./schema.js').Schema} */ schema,
  /** @type {import('./exact.js').Exceptions} */ { rows, properties, values },
) {
  const own = new Map();
  rows.forEach((row, i) => {
    const { name, type } = schema.properties[properties[i]];
    const column = columns.get(name);
    if (!column) return;
    if (!own.has(name)) own.set(name, bytesOf(column.slice()));
    const { size } = TYPES[type];
    own.get(name).set(values.subarray(8 * i, 8 * i + size), size * row);
  });
  for (const [name, bytes] of own) {
    const { array } = TYPES[schema.type(name)];
    columns.set(name, new array(bytes.buffer));
  }
}

/** Put canonical row `i` into row `order[i]`. */
function reorder(/** @type {Map<string, Column>} */ columns, /** @type {Uint32Array} */ order) {
  for (const [name, column] of columns) {
    const moved = column.slice();
    const size = column.BYTES_PER_ELEMENT;
    const words = size === 8 ? BigUint64Array : size === 4 ? Uint32Array : size === 2 ? Uint16Array : Uint8Array;
    const from = new words(/** @type {ArrayBuffer} */ (column.buffer));
    const to = new words(/** @type {ArrayBuffer} */ (moved.buffer));
    for (let i = 0; i < order.length; i++) to[order[i]] = from[i];
    columns.set(name, moved);
  }
}
