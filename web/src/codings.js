/** What GRUP chunks say of groups (spec 5.1, 5.3, 5.6). */

import { inflate } from './inflate.js';
import { Kind, isLabel, isTransformed } from './kinds.js';
import { fits } from './properties.js';
import { readSideStream } from './side_stream.js';
import { StepRule } from './steps.js';
import { Tables, normalise } from './tables.js';

export const NO_SENTINEL = 255;
const CLASS_MAX = 8;
const FINE_BITS_MAX = 8;

/** A residual group. */
export class GroupCoding {
  /**
   * @param {import('./fields.js').FieldReader} fields
   * @param {import('./head.js').Group} group
   * @param {number} sentinel group, or `NO_SENTINEL`
   * @param {import('./limits.js').ModelBudget} budget
   */
  constructor(fields, { kind, channels, columns }, sentinel, budget) {
    this.sentinel = sentinel;
    this.step = fields.f64();
    fields.require(this.step > 0, 'the step is not positive');
    this.centre = fields.list(channels, () => fields.f32());
    this.rule = new StepRule(fields, -CLASS_MAX, CLASS_MAX);
    this.transform = isTransformed(kind) ? new Transform(fields, channels, columns, budget) : null;
  }
}

/** From channels to columns. */
class Transform {
  constructor(
    /** @type {import('./fields.js').FieldReader} */ fields,
    /** @type {number} */ channels,
    /** @type {number} */ columns,
    /** @type {import('./limits.js').ModelBudget} */ budget,
  ) {
    fields.u16('components', channels, channels);
    fields.u16('columns', columns, columns);
    const bits = fields.u8('bits', 0, 14);
    const index = fields.u8('scale_index', 1, 63);
    this.mean = fields.list(columns, () => fields.f32());
    const count = channels * columns;
    budget.take(count);
    const integers = readSideStream(fields.blob(), new Uint8Array(count).fill(index));
    /** `basis[c][m] / 2^bits`. */
    this.basis = integers.map((integer) => integer / 2 ** bits);
  }
}

/** A label group. */
export class LabelCoding {
  /**
   * @param {import('./fields.js').FieldReader} fields
   * @param {number} gaussians
   * @param {import('./properties.js').TypeName | null} type of its column
   */
  constructor(fields, gaussians, type) {
    const size = fields.u32('palette entries', 0, Math.max(gaussians, 256));
    fields.require(size > 0 || gaussians === 0, 'the palette is empty');
    const block = inflate(fields.blob(), 8 * size);
    const values = new BigInt64Array(block.buffer);
    for (let i = 1; i < size; i++) {
      values[i] += values[i - 1];
      fields.require(values[i] > values[i - 1], 'the values of the palette do not increase');
    }
    /** The value of each palette index. */
    this.palette = Float64Array.from(values, Number);
    const fit = (/** @type {number} */ value, /** @type {number} */ i) =>
      BigInt(value) === values[i] && (type === null || fits(value, type));
    fields.require(type === null || this.palette.every(fit), 'a value does not fit its column');

    const agreement = fields.list(8, () => normalise(fields.list(3, () => fields.u16())));
    this.agreement = new Tables(agreement);
    const listed = fields.u16();
    fields.require(listed === 0 || (listed === size && listed <= 256), 'listed is neither 0 nor P');
    this.explicit = listed ? new Tables([normalise(fields.list(listed, () => fields.u16()))]) : null;
  }
}

/** @typedef {GroupCoding | LabelCoding | StepRule} Coding */

/**
 * Read the body of a GRUP chunk.
 *
 * @param {import('./fields.js').FieldReader} fields
 * @param {import('./head.js').Head} head
 * @param {import('./schema.js').Schema} schema
 * @param {Coding[]} codings read so far, by group
 * @param {import('./limits.js').ModelBudget} budget
 */
export function readCoding(fields, head, schema, codings, budget) {
  const number = fields.u8('group', 0, head.groups.length - 1);
  fields.require(codings[number] === undefined, `group ${number} is described twice`);
  const group = head.groups[number];
  fields.require(group.kind !== Kind.POSITION, 'positions have no GRUP chunk');
  if (group.kind === Kind.POSITION_FINE) {
    codings[number] = new StepRule(fields, 0, FINE_BITS_MAX);
  } else if (isLabel(group.kind)) {
    const [column] = schema.groups[number].columns;
    codings[number] = new LabelCoding(fields, head.gaussians, column ? schema.type(column) : null);
  } else {
    const sentinel = fields.u8();
    fields.require(
      sentinel === NO_SENTINEL || (sentinel < number && codings[sentinel] instanceof LabelCoding),
      `group ${sentinel} is no sentinel group that is known`,
    );
    codings[number] = new GroupCoding(fields, group, sentinel, budget);
  }
  fields.finish();
}
